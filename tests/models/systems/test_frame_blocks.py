"""The blocks of STM, GST and SmallBigNet, against their papers' formulas written out frame by frame."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from pytorchvideo_autox3d.models.systems.frame_blocks import (
    ChannelwiseMotionConv,
    GroupedSpatioTemporalConv,
    SmallBigConv,
)
from pytorchvideo_autox3d.models.systems.inception import SelfGating
from pytorchvideo_autox3d.models.systems.mfnet import MultiFiberUnit
from pytorchvideo_autox3d.models.systems.temporal_shift import ShiftConv3d
from pytorchvideo_autox3d.models.systems.vov3d import TOSA

B, C, T, S = 2, 32, 4, 6


def test_motion_is_the_difference_of_neighbours():
    torch.manual_seed(0)
    spatial = nn.Conv3d(C, C, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False)
    block = ChannelwiseMotionConv(spatial)
    x = torch.randn(B, C, T, S, S)
    weight = {name: parameter.squeeze(2) for name, parameter in block.named_parameters() if "temporal" not in name}
    frames = [functional.conv2d(x[:, :, t], weight["reduce.weight"]) for t in range(T)]
    assert frames[0].shape[1] == C // 16
    motion = []
    for now, after in pairwise(frames):
        moved = functional.conv2d(after, weight["moved.weight"], padding=1, groups=C // 16) - now
        motion.append(functional.conv2d(moved, weight["expand.weight"], stride=2))
    motion.append(torch.zeros_like(motion[0]))
    spatiotemporal = spatial(block.temporal(x))
    assert torch.allclose(block(x), spatiotemporal + torch.stack(motion, dim=2), atol=1e-5)


def test_spatiotemporal_features_mix_no_channels_over_time():
    block = ChannelwiseMotionConv(nn.Conv3d(C, C, (1, 3, 3), padding=(0, 1, 1), bias=False))
    x = torch.randn(1, C, T, 2, 2)
    kernel = block.temporal.weight[5, 0, :, 0, 0]
    expected = kernel[0] * x[:, 5, 0] + kernel[1] * x[:, 5, 1] + kernel[2] * x[:, 5, 2]
    assert torch.allclose(block.temporal(x)[:, 5, 1], expected, atol=1e-6)


def test_groups_see_their_half_and_only_one_sees_time():
    block = GroupedSpatioTemporalConv(C, 2, alpha=4, beta=2)
    x = torch.randn(1, C, T, S, S)
    out = block(x)
    assert out.shape == (1, C, T, S // 2, S // 2)
    changed = x.clone()
    changed[:, : C // 2, 2] += 1  # the first half, one frame: only spatial outputs of that frame move
    moved = (block(changed) - out).abs().amax(dim=(0, 3, 4)) > 1e-6
    assert moved[: C * 3 // 4, 2].all()
    assert not moved[C * 3 // 4 :].any()
    assert not moved[:, [0, 1, 3]].any()
    changed = x.clone()
    changed[:, C // 2 :, 2] += 1  # the second half: the temporal outputs of three frames move
    moved = (block(changed) - out).abs().amax(dim=(0, 3, 4)) > 1e-6
    assert not moved[: C * 3 // 4].any()
    assert moved[C * 3 // 4 :, 1:4].all()
    assert not moved[:, 0].any()


def test_without_halves_both_groups_see_all():
    block = GroupedSpatioTemporalConv(C, 1, alpha=8, beta=1)
    assert block.spatial.weight.shape == (C * 7 // 8, C, 1, 3, 3)
    assert block.temporal.weight.shape == (C // 8, C, 3, 3, 3)


def test_the_big_view_shares_the_convolution():
    torch.manual_seed(0)
    conv = nn.Conv3d(C, 8, 1, bias=False)
    block = SmallBigConv(conv, nn.BatchNorm3d(8)).eval()
    x = torch.randn(1, C, T, S, S)
    padded = functional.pad(x, (1,) * 6, value=-torch.inf)
    pooled = padded.unfold(2, 3, 1).unfold(3, 3, 1).unfold(4, 3, 1).amax(dim=(5, 6, 7))
    scale = (1 + 1e-5) ** -0.5
    assert torch.allclose(block(x), scale * (conv(x) + conv(pooled)), atol=1e-5)
    assert block.big_norm.block_final_bn


@pytest.mark.parametrize(
    "block",
    [
        ChannelwiseMotionConv(nn.Conv3d(C, C, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False)),
        GroupedSpatioTemporalConv(C, 2, alpha=4, beta=2),
        SmallBigConv(nn.Conv3d(C, 8, 1, bias=False), nn.BatchNorm3d(8)),
        ShiftConv3d(C, 8, 1),
        TOSA(C, 8, 16, expansion=1.5, stride=2),
        MultiFiberUnit(C, 32, (2, 1, 1)),
        SelfGating(C),
    ],
    ids=lambda block: type(block).__name__,
)
def test_every_block_exports(block):
    x = torch.randn(1, C, T, S, S)
    with torch.no_grad(), depthwise_kernels(False):
        exported = torch.export.export(block.eval(), (x,)).module()
        assert torch.allclose(exported(x), block(x), atol=1e-6)
