"""MBConv3D against the same computation written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytorchvideo_autox3d.layers import MBConv3D


@pytest.mark.parametrize("kernel", [(t, s) for t in (1, 3, 5) for s in (3, 5)])
@pytest.mark.parametrize(("stride", "out_channels"), [(1, 8), (1, 6), (2, 8)])
def test_by_hand(kernel, stride, out_channels):
    torch.manual_seed(0)
    block = MBConv3D(8, out_channels, inner_channels=20, kernel=kernel, stride=stride).eval()
    x = torch.randn(2, 8, 3, 9, 10)
    t, s = kernel
    with torch.no_grad():
        y = F.relu(block.expand_norm(F.conv3d(x, block.expand.weight)))
        y = F.conv3d(y, block.depthwise.weight, stride=(1, stride, stride), padding=(t // 2, s // 2, s // 2), groups=20)
        y = block.depthwise_norm(y)
        first, second = block.squeeze_excite.block[0], block.squeeze_excite.block[2]
        gate = torch.sigmoid(second(F.relu(first(y.mean((2, 3, 4), keepdim=True)))))
        y = block.project_norm(F.conv3d(F.silu(y * gate), block.project.weight))
        expected = x + y if (stride, out_channels) == (1, 8) else y
        assert torch.allclose(block(x), expected, atol=1e-5)


def test_squeeze_width_is_x3ds():
    # X3D: a sixteenth to the nearest multiple of 8, at least 8, and up where that would lose over 10% (27 -> 32).
    for inner, reduced in ((20, 8), (432, 32), (200, 16)):
        assert MBConv3D(4, 4, inner_channels=inner).squeeze_excite.block[0].out_channels == reduced


def test_without_expansion_by_hand():
    torch.manual_seed(0)
    block = MBConv3D(6, 4, inner_channels=6, expand=False, se_ratio=0.0, inner_activation=nn.ReLU6).eval()
    x = torch.randn(2, 6, 3, 5, 4)
    with torch.no_grad():
        y = F.relu6(block.depthwise_norm(F.conv3d(x, block.depthwise.weight, padding=1, groups=6)))
        assert torch.allclose(block(x), block.project_norm(F.conv3d(y, block.project.weight)), atol=1e-5)
    assert [name for name, _ in block.named_parameters() if "expand" in name] == []


def test_options():
    block = MBConv3D(4, 4, inner_channels=8, se_ratio=0.0, norm=nn.InstanceNorm3d, inner_activation=nn.ReLU6)
    assert isinstance(block.squeeze_excite, nn.Identity)
    assert isinstance(block.project_norm, nn.InstanceNorm3d)
    assert isinstance(block.inner_activation, nn.ReLU6)
