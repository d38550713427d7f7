"""The temporal shift of TSM (Lin et al., ICCV 2019): channels that see the frame before or after, for nothing.

Shapes: B clips, C channels, T frames, H and W pixels.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import pad

# An eighth of the channels goes each way (section 3.2).
SHIFT_DIVISOR = 8


def temporal_shift(map_BCTHW: torch.Tensor, divisor: int = SHIFT_DIVISOR) -> torch.Tensor:
    """The first C // `divisor` channels one frame earlier, the next as many one later, the rest as they are.

    A frame that comes from outside the clip is zero.
    """
    width = map_BCTHW.shape[1] // divisor
    ahead, behind, still = map_BCTHW.split((width, width, map_BCTHW.shape[1] - 2 * width), dim=1)
    ahead = pad(ahead[:, :, 1:], (0, 0, 0, 0, 0, 1))
    behind = pad(behind[:, :, :-1], (0, 0, 0, 0, 1, 0))
    return torch.cat((ahead, behind, still), dim=1)


class ShiftConv3d(nn.Conv3d):
    """A convolution of shifted frames; its parameters are those of the convolution that it takes the place of."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Shift, then convolve; `input` is (B, C, T, H, W)."""
        return super().forward(temporal_shift(input))
