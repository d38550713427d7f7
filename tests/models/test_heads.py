"""Heads by registered name."""

import torch

from pytorchvideo_autox3d import models  # noqa: F401  (registers them)
from pytorchvideo_autox3d.registry import HEAD_REGISTRY


def test_x3d_head_pools_any_size_before_its_classifier():
    head = HEAD_REGISTRY.get("x3d")(in_channels=6, num_classes=4, channels=8, hidden=10, dropout_rate=0.0).eval()
    features = torch.randn(2, 6, 3, 5, 4)
    with torch.no_grad():
        pooled = torch.relu(head.pool.pre_norm(head.pool.pre_conv(features))).mean((2, 3, 4))
        hidden = torch.relu(pooled @ head.pool.post_conv.weight.flatten(1).T)
        expected = hidden @ head.proj.weight.T + head.proj.bias
        assert torch.allclose(head(features), expected, atol=1e-5)


def test_linear_head():
    head = HEAD_REGISTRY.get("linear")(in_channels=6, num_classes=4, dropout_rate=0.0).eval()
    features = torch.randn(2, 6, 3, 5, 4)
    expected = features.mean((2, 3, 4)) @ head.proj.weight.T + head.proj.bias
    assert torch.allclose(head(features), expected, atol=1e-5)
