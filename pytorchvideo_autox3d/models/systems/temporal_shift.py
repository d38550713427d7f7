"""The temporal shift of TSM (Lin et al., ICCV 2019): some channels see the frame before or after, at no multiply-adds.

Shapes: B clips, C channels, T frames, H and W pixels.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import pad

# An eighth of the channels goes each way (section 3.2).
SHIFT_DIVISOR = 8


def temporal_shift(map_BCTHW: torch.Tensor, divisor: int = SHIFT_DIVISOR) -> torch.Tensor:
    """Shift some channels of a map (B, C, T, H, W) by one frame; a frame from outside the clip is zero.

    Args:
        map_BCTHW: the map.
        divisor: the first C // divisor channels take the next frame's values, the next as many the previous frame's;
            the rest stay.
    """
    width = map_BCTHW.shape[1] // divisor
    ahead, behind, still = map_BCTHW.split((width, width, map_BCTHW.shape[1] - 2 * width), dim=1)
    ahead = pad(ahead[:, :, 1:], (0, 0, 0, 0, 0, 1))
    behind = pad(behind[:, :, :-1], (0, 0, 0, 0, 1, 0))
    return torch.cat((ahead, behind, still), dim=1)


class ShiftConv3d(nn.Conv3d):
    """A convolution of shifted frames; its parameters are those of the convolution that it replaces."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Shift, then convolve; `input` is (B, C, T, H, W)."""
        return super().forward(temporal_shift(input))
