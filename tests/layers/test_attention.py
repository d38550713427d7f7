"""Attention blocks by registered name."""

import pytest
import torch
from pytorchvideo.models.weight_init import init_net_weights
from torch import nn

from pytorchvideo_autox3d import layers  # noqa: F401  (registers them)
from pytorchvideo_autox3d.errors import RegistryError
from pytorchvideo_autox3d.registry import ATTENTION_REGISTRY


@pytest.mark.parametrize("name", ["none", "glore", "nonlocal"])
def test_shape_is_kept_and_a_block_begins_as_identity(name):
    module = nn.Sequential(ATTENTION_REGISTRY.get(name)(9))
    init_net_weights(module)
    x = torch.randn(2, 9, 2, 3, 4)
    assert torch.equal(module(x), x)
    trained = nn.Sequential(ATTENTION_REGISTRY.get(name)(9))
    for module in trained.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.ones_(module.weight)
    assert torch.equal(trained(x), x) == (name == "none")


def test_options_reach_the_block():
    assert ATTENTION_REGISTRY.get("glore")(8, node_ratio=0.5).node.out_channels == 4


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(RegistryError, match="did you mean 'glore'"):
        ATTENTION_REGISTRY.get("glorre")
