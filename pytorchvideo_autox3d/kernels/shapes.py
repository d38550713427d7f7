"""Shapes that every implementation of a kernel agrees on."""

from __future__ import annotations

from collections.abc import Sequence


def output_shape(x_shape: Sequence[int], stride_t: int, stride_s: int) -> tuple[int, ...]:
    """Shape (B, C, T', H', W') of the convolution's result."""
    batch, channels, frames, rows, columns = x_shape
    return (
        batch,
        channels,
        (frames - 1) // stride_t + 1,
        (rows - 1) // stride_s + 1,
        (columns - 1) // stride_s + 1,
    )
