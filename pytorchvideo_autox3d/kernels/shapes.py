"""Shapes that every implementation of a kernel agrees on."""

from __future__ import annotations

from collections.abc import Sequence


def output_shape(x_shape: Sequence[int], stride_t: int, stride_s: int) -> tuple[int, ...]:
    """The shape (B, C, T', H', W') of a convolution's result.

    Args:
        x_shape: (B, C, T, H, W) of its input.
        stride_t: stride in time.
        stride_s: stride in height and width. The padding is half of the kernel, so only strides shrink the map.
    """
    batch, channels, frames, rows, columns = x_shape
    return (
        batch,
        channels,
        (frames - 1) // stride_t + 1,
        (rows - 1) // stride_s + 1,
        (columns - 1) // stride_s + 1,
    )
