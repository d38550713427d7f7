"""Inner channels in groups: the same network, whatever stands between the convolutions; or the network as it was."""

from collections import Counter

import numpy as np
import openvino
import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.export.targets import openvino as target
from pytorchvideo_autox3d.export.targets.openvino_split import split_channels
from pytorchvideo_autox3d.layers import MBConv3D

CLIP = (1, 6, 3, 6, 6)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


class Halves(nn.Module):
    """What is read between the convolutions is no elementwise operator's: the halves of the channels change places."""

    def forward(self, clip_BCTHW):
        first, second = clip_BCTHW.chunk(2, 1)
        return torch.cat([second, first], 1)


def settled(block):
    """With means and variances that a fold must not lose."""
    for norm in block.modules():
        if isinstance(norm, nn.BatchNorm3d):
            nn.init.uniform_(norm.running_mean, -1, 1)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
    return block.eval()


def written(block, path, *, dynamic_batch=False):
    target.write(block, torch.randn(CLIP), path, metadata={}, dynamic_batch=dynamic_batch)
    return openvino.Core().read_model(path)


def logits(model, clip):
    return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(clip)[0]


@pytest.mark.parametrize("dynamic_batch", [False, True])
@pytest.mark.parametrize("options", [{}, {"se_ratio": 0.0, "kernel": (1, 5)}, {"stride": 2, "kernel": (5, 3)}])
def test_a_block_in_groups_is_the_block(options, dynamic_batch, tmp_path):
    # 20 channels in groups of 8, 8 and 4; a residual where the stride is 1.
    block = settled(MBConv3D(6, 6, inner_channels=20, **options))
    model = written(block, tmp_path / "block.xml", dynamic_batch=dynamic_batch)
    before = Counter(node.get_type_name() for node in model.get_ops())
    assert split_channels(model, group=8, min_bytes=0) == 1
    after = Counter(node.get_type_name() for node in model.get_ops())
    assert after["GroupConvolution"] == 3 * before["GroupConvolution"] == 3
    clip = torch.randn(CLIP)
    with torch.no_grad():
        expected = block(clip).numpy()
    assert np.abs(logits(model, clip.numpy()) - expected).max() < 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (nn.Sequential(nn.Conv3d(6, 20, 1), Halves(), nn.Conv3d(20, 20, 3, groups=20), nn.Conv3d(20, 6, 1)), "halves"),
        (nn.Sequential(nn.Conv3d(6, 20, 1), nn.Conv3d(20, 20, 3, groups=20), Halves(), nn.Conv3d(20, 6, 1)), "halves"),
        (nn.Sequential(nn.Conv3d(6, 20, 1), nn.Conv3d(20, 20, 3, groups=10), nn.Conv3d(20, 6, 1)), "no depthwise"),
        (nn.Sequential(nn.Conv3d(6, 8, 1), nn.Conv3d(8, 8, 3, groups=8), nn.Conv3d(8, 6, 1)), "one group"),
        (nn.Sequential(nn.Conv3d(6, 20, 3), nn.Conv3d(20, 20, 1, groups=20), nn.Conv3d(20, 6, 1)), "no expansion"),
    ],
)
def test_what_can_not_be_split_stays_as_it_was(block, why, tmp_path):
    model = written(block.eval(), tmp_path / "block.xml")
    names = [node.get_name() for node in model.get_ordered_ops()]
    assert split_channels(model, group=8, min_bytes=0) == 0
    assert [node.get_name() for node in model.get_ordered_ops()] == names


def test_small_maps_stay_whole(tmp_path):
    model = written(settled(MBConv3D(6, 6, inner_channels=20)), tmp_path / "block.xml")
    # By hand: 20 channels of 3 x 6 x 6 floats.
    size = 4 * 20 * 3 * 6 * 6
    assert split_channels(model, group=8, min_bytes=size + 1) == 0
    assert split_channels(model, group=8, min_bytes=size) == 1
