"""MobileNetV2-3D against figures worked out by hand from MobileNetV2's table, and against torchvision's network."""

import pytest
import torch
import torchvision
from torch import nn

from pytorchvideo_autox3d.analysis import count_module
from pytorchvideo_autox3d.layers import MBConv3D
from pytorchvideo_autox3d.models import create_mobilenet_v2_3d

# (channels, output side at 224^2, blocks) of every depthwise convolution, by hand from MobileNetV2's Table 2.
DEPTHWISE = (
    (32, 112, 1), (96, 56, 1), (144, 56, 1), (144, 28, 1), (192, 28, 2), (192, 14, 1), (384, 14, 4), (576, 14, 2),
    (576, 7, 1), (960, 7, 3),
)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    with torch.device("meta"):
        return create_mobilenet_v2_3d(model_num_class=1000)


@pytest.fixture(scope="module")
def planar():
    with torch.device("meta"):
        return torchvision.models.mobilenet_v2()


def test_every_depthwise_kernel_is_3x3x3(model):
    depthwise = [m for m in model.modules() if isinstance(m, nn.Conv3d) and m.groups > 1]
    assert [conv.out_channels for conv in depthwise] == [c for c, _, blocks in DEPTHWISE for _ in range(blocks)]
    assert {conv.kernel_size for conv in depthwise} == {(3, 3, 3)}


def test_the_first_block_has_no_expansion(model):
    first, second = [module for module in model.modules() if isinstance(module, MBConv3D)][:2]
    # Depthwise 32 x 27 and its BN 2 x 32, projection 32 x 16 and its BN 2 x 16.
    assert sum(p.numel() for p in first.parameters()) == 864 + 64 + 512 + 32
    # Expansion 16 x 96 and 2 x 96, depthwise 96 x 27 and 2 x 96, projection 96 x 24 and 2 x 24.
    assert sum(p.numel() for p in second.parameters()) == 1536 + 192 + 2592 + 192 + 2304 + 48


def test_parameters_are_mobilenet_v2s_and_a_temporal_extent(model, planar):
    # The depthwise channels sum to 7136, and each of their kernels has 27 taps in place of 9.
    assert sum(channels * blocks for channels, _, blocks in DEPTHWISE) == 7136
    assert sum(p.numel() for p in planar.parameters()) == 3_504_872
    assert sum(p.numel() for p in model.parameters()) == 3_504_872 + 18 * 7136


def test_multiply_adds_are_mobilenet_v2s_at_every_frame():
    # MobileNetV2 at 224^2: 300,774,272, of which 1,280,000 are the classifier's. 18 more taps a depthwise position:
    # 32 x 112^2 + 240 x 56^2 + 528 x 28^2 + 2880 x 14^2 + 3456 x 7^2 = 2,301,824 positions.
    positions = sum(channels * side**2 * blocks for channels, side, blocks in DEPTHWISE)
    assert positions == 401_408 + 752_640 + 413_952 + 564_480 + 169_344 == 2_301_824
    frames = 3
    counted = count_module(create_mobilenet_v2_3d(model_num_class=1000), (frames, 224, 224))
    assert counted.macs == frames * (300_774_272 - 1_280_000 + 18 * positions) + 1_280_000


@pytest.mark.parametrize("factor", [0.35, 1.0, 1.4])
def test_widths_round_as_mobilenet_v2s(factor):
    with torch.device("meta"):
        ours, theirs = create_mobilenet_v2_3d(width_factor=factor), torchvision.models.mobilenet_v2(width_mult=factor)
    widths = [
        [module.out_channels for module in model.modules() if isinstance(module, nn.Conv2d | nn.Conv3d)]
        for model in (ours, theirs)
    ]
    assert widths[0] == widths[1]
