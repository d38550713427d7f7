"""What STM, GST and SmallBigNet put in the place of a convolution of a ResNet block.

Shapes: B clips, C channels, T frames, H and W pixels.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn.functional import pad

# CMM works on a sixteenth of the channels (STM, section 3.3).
_MOTION_REDUCTION = 16


class ChannelwiseMotionConv(nn.Module):
    """STM's CSTM and CMM side by side, their outputs added (STM, Figure 2).

    ::

        map -> depthwise 3 over time -> 1x3x3 ----------------------------------------------- (+) ->
          |                                                                                    |
          +-> 1x1x1 to C/16 -> (depthwise 1x3x3 of frame t + 1) - (frame t) -> 1x1x1 to C -----+

    The last frame has no successor: its motion is zero.

    Args:
        spatial: the block's 1x3x3 convolution, which stays that of CSTM; CMM takes its stride in its last layer.
    """

    def __init__(self, spatial: nn.Conv3d) -> None:
        super().__init__()
        channels, narrow = spatial.in_channels, max(1, spatial.in_channels // _MOTION_REDUCTION)
        self.temporal = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0), groups=channels, bias=False)
        self.spatial = spatial
        self.reduce = nn.Conv3d(channels, narrow, 1, bias=False)
        self.moved = nn.Conv3d(narrow, narrow, (1, 3, 3), padding=(0, 1, 1), groups=narrow, bias=False)
        self.expand = nn.Conv3d(narrow, spatial.out_channels, 1, cast(tuple[int, int, int], spatial.stride), bias=False)

    def forward(self, map_BCTHW: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, C', T, H', W')."""
        reduced_BCTHW = self.reduce(map_BCTHW)
        motion_BCTHW = self.moved(reduced_BCTHW[:, :, 1:]) - reduced_BCTHW[:, :, :-1]
        motion_BCTHW = pad(motion_BCTHW, (0, 0, 0, 0, 0, 1))
        sum_BCTHW: torch.Tensor = self.spatial(self.temporal(map_BCTHW)) + self.expand(motion_BCTHW)
        return sum_BCTHW


class GroupedSpatioTemporalConv(nn.Module):
    """GST's 1x3x3 and 3x3x3 convolutions, whose outputs are joined along C (GST, Figure 2).

    Args:
        channels: of the input and the output.
        stride: in height and width.
        alpha: one in `alpha` output channels comes from the 3x3x3 convolution.
        beta: 2 gives the first half of the input's channels to the one and the second half to the other; 1 gives all
            channels to both.
    """

    def __init__(self, channels: int, stride: int, *, alpha: int, beta: int) -> None:
        super().__init__()
        self.beta = beta
        seen, temporal = channels // beta, channels // alpha
        strides = (1, stride, stride)
        self.spatial = nn.Conv3d(seen, channels - temporal, (1, 3, 3), strides, (0, 1, 1), bias=False)
        self.temporal = nn.Conv3d(seen, temporal, 3, strides, 1, bias=False)

    def forward(self, map_BCTHW: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, C, T, H', W')."""
        first, last = map_BCTHW.chunk(2, dim=1) if self.beta == 2 else (map_BCTHW, map_BCTHW)
        return torch.cat((self.spatial(first), self.temporal(last)), dim=1)


class SmallBigConv(nn.Module):
    """SmallBigNet's unit: norm(conv(map)) + norm(conv(max pool of the map)), one convolution for both views.

    The pool's window is 3 x 3 x 3. The big view starts at zero: a block with ImageNet's weights starts as ImageNet's.

    Args:
        conv: the convolution of both views.
        norm: the small view's normalisation, which was the block's own.
    """

    def __init__(self, conv: nn.Conv3d, norm: nn.BatchNorm3d) -> None:
        super().__init__()
        self.conv, self.small_norm = conv, norm
        self.big_norm = nn.BatchNorm3d(norm.num_features)
        # pytorchvideo's mark of a normalisation whose weight starts at 0.
        self.big_norm.block_final_bn = True  # type: ignore[assignment]
        self.pool = nn.MaxPool3d(3, stride=1, padding=1)

    def forward(self, map_BCTHW: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, C', T, H', W')."""
        small_BCTHW = self.small_norm(self.conv(map_BCTHW))
        sum_BCTHW: torch.Tensor = small_BCTHW + self.big_norm(self.conv(self.pool(map_BCTHW)))
        return sum_BCTHW
