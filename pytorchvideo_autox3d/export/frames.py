"""Five-dimensional maps held in four dimensions: the frames of all clips along the first, time outermost.

Shapes: B clips, C channels, T frames, H and W pixels, L = T * H * W positions. A map (B, C, T, H, W) is kept as
data (T * B, C, H, W). With time outermost a shift by one frame is a slice of the first dimension for any B, and in
channels-last memory a convolution over time alone is a two-dimensional one over the same bytes, (1, C, T, B * H * W).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Frames:
    """A map (B, C, T, H, W).

    Args:
        data: the map as (T * B, C, H, W); with `last` as (T * B, H, W, C).
        frames: T.
        last: whether it stands for (B, T, H, W, C), the channels last.
    """

    data: Tensor
    frames: int
    last: bool = False

    @property
    def batch(self) -> int:
        """B."""
        return self.data.shape[0] // self.frames

    @property
    def is_pooled(self) -> bool:
        """Whether it holds a single position for each clip."""
        return self.frames == 1 and not self.last and self.data.shape[2:].numel() == 1

    def map(self, function: Callable[[Tensor], Tensor]) -> Frames:
        """Apply a function to the data that leaves the frames where they are."""
        return replace(self, data=function(self.data))

    def select(self, indices: Sequence[int]) -> Frames:
        """Take the frames of these numbers, in this order."""
        batch = self.batch
        runs = [self.data.narrow(0, first * batch, count * batch) for first, count in _runs(indices)]
        return replace(self, data=_joined(runs), frames=len(indices))

    def padded(self, before: int, after: int) -> Frames:
        """Add frames of zeros, `before` of them at the beginning and `after` at the end."""
        if before == after == 0:
            return self
        batch = self.batch
        data = F.pad(self.data, (0, 0, 0, 0, 0, 0, before * batch, after * batch))
        return replace(self, data=data, frames=before + self.frames + after)

    def repeated(self, frames: int) -> Tensor:
        """The data to be combined with a map of `frames` frames; a single frame is repeated for each of them."""
        if self.frames == frames or self.data.shape[0] == 1:
            return self.data
        assert self.frames == 1, f"{self.frames} frames beside {frames}"
        return torch.cat([self.data] * frames)

    def over_time(self, function: Callable[[Tensor], Tensor]) -> Frames:
        """Apply a 2-D operator to the map as an image (1, C, T, B * H * W), where it may combine frames.

        The operator must leave the image's width, which holds clips and pixels, as it is.
        """
        _, channels, height, width = self.data.shape
        image = self.data.permute(0, 2, 3, 1).reshape(1, self.frames, self.batch * height * width, channels)
        out_1CTP = function(image.permute(0, 3, 1, 2))
        channels, frames = out_1CTP.shape[1:3]
        data = out_1CTP.permute(0, 2, 3, 1).reshape(frames * self.batch, height, width, channels).permute(0, 3, 1, 2)
        return Frames(data, frames)

    def mean(self) -> Frames:
        """The mean over all positions of a clip, as one frame of one pixel."""
        means = self.data.mean((2, 3), keepdim=True)
        if self.frames == 1:
            return Frames(means, 1)
        return Frames(means, self.frames).over_time(lambda image: F.avg_pool2d(image, (self.frames, 1)))

    def flat(self) -> Tensor:
        """All values of a clip in a row, (B, C * T * H * W)."""
        return self.data.flatten(1) if self.frames == 1 else self.positions().dense().flatten(1)

    def positions(self) -> Positions:
        """The map as (B, C, L), with its memory where it is."""
        return Positions(self.data.flatten(2), self.frames)


@dataclass(frozen=True)
class Positions:
    """A matrix (B, C, L), or transposed (B, L, C).

    Args:
        data: the matrix as (T * B, C, H * W).
        frames: T.
        transposed: whether it stands for (B, L, C).
    """

    data: Tensor
    frames: int
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the matrix that it stands for."""
        rows, channels, pixels = self.data.shape
        sizes = (channels, self.frames * pixels)
        return rows // self.frames, *(sizes[::-1] if self.transposed else sizes)

    def dense(self) -> Tensor:
        """The matrix itself, with all positions of a clip in one dimension."""
        rows, channels, pixels = self.data.shape
        batch = rows // self.frames
        data_BCL = self.data
        if batch == 1:
            data_BCL = self.data.transpose(0, 1).reshape(1, channels, self.frames * pixels)
        elif self.frames > 1:
            data_BCTP = self.data.reshape(self.frames, batch, channels, pixels).permute(1, 2, 0, 3)
            data_BCL = data_BCTP.reshape(batch, channels, self.frames * pixels)
        return data_BCL.transpose(1, 2) if self.transposed else data_BCL

    def matmul_transposed(self, other: Positions) -> Tensor:
        """(B, S, L) @ (B, L, N) -> (B, S, N): one product for each frame, summed over the frames."""
        products = torch.matmul(self.data, other.data.transpose(1, 2))
        rows, states, nodes = products.shape
        batch = rows // self.frames
        if batch == 1:
            return products.sum(0, keepdim=True)
        return products.reshape(self.frames, batch, states, nodes).sum(0)

    def projected(self, matrix_BSN: Tensor) -> Positions:
        """(B, S, N) @ (B, N, L) -> (B, S, L): every frame is multiplied by the same matrix."""
        if matrix_BSN.shape[0] > 1:
            matrix_BSN = torch.cat([matrix_BSN] * self.frames)
        elif self.frames > 1:
            matrix_BSN = matrix_BSN.expand(self.frames, -1, -1)
        return Positions(torch.matmul(matrix_BSN, self.data), self.frames)

    def unflattened(self, height: int, width: int) -> Frames:
        """The positions as a map of this height and width."""
        return Frames(self.data.reshape(*self.data.shape[:2], height, width), self.frames)


def fold_clip(clip_BCTHW: Tensor) -> Tensor:
    """A clip (B, C, T, H, W) as frames (B * T, C, H, W): what a lowered network takes."""
    return clip_BCTHW.transpose(1, 2).flatten(0, 1).contiguous()


def frames_of(data: Tensor, frames: int) -> Frames:
    """Frames (B * T, C, H, W), a clip's one after another, brought into the order of `Frames`."""
    rows, channels, height, width = data.shape
    if rows > frames > 1:
        data_BTCP = data.reshape(rows // frames, frames, channels, height * width)
        data = data_BTCP.transpose(0, 1).reshape(rows, channels, height, width)
    return Frames(data, frames)


def frames_from_dense(data_BCL: Tensor, sizes: Sequence[int]) -> Frames:
    """A matrix (B, C, L) as a map whose sizes (T, H, W) multiply to L."""
    frames, height, width = sizes
    batch, channels, _ = data_BCL.shape
    data_BCTP = data_BCL.reshape(batch, channels, frames, height * width)
    return Frames(data_BCTP.permute(2, 0, 1, 3).reshape(frames * batch, channels, height, width), frames)


def _runs(indices: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers as (first, count)."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and index == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((index, 1))
    return runs


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
