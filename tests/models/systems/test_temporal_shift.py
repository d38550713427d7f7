"""TSM's shift, against frames moved by hand."""

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.models.systems.temporal_shift import ShiftConv3d, temporal_shift


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_against_a_loop(frames):
    x = torch.randn(2, 17, frames, 2, 3)
    moved = temporal_shift(x)
    for t in range(frames):
        for channel in range(17):
            # 17 // 8 = 2 channels take the next frame's values, 2 the last one's.
            source = t + 1 if channel < 2 else t - 1 if channel < 4 else t
            expected = x[:, channel, source] if 0 <= source < frames else torch.zeros(2, 2, 3)
            assert torch.equal(moved[:, channel, t], expected)


def test_the_convolution_has_the_plain_ones_parameters():
    plain, shifting = nn.Conv3d(8, 3, 1, bias=False), ShiftConv3d(8, 3, 1, bias=False)
    shifting.load_state_dict(plain.state_dict())
    x = torch.randn(1, 8, 3, 2, 2)
    assert torch.equal(shifting(x), plain(temporal_shift(x)))
