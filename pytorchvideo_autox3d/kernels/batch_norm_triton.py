"""Batch normalisation with an activation on the GPU: calls of the kernels in `batch_norm_triton_passes.py`.

Tensors are dense (B, T, H, W, C): torch's channels_last_3d, so neighbouring threads read neighbouring channels. Numbers
are stored in float32, float16 or bfloat16; the passes compute in float32, what is small, the work on channels, in
float64. A program covers positions of one clip times a block of channels. The sums of programs are added in a fixed
order and nothing is tuned, so the results are the same at every call. With TRITON_INTERPRET=1 the same code runs on the
CPU, which is how it is tested.

Shapes: B clips, P positions of a clip (frames times rows times columns), C channels, R channels of the
squeeze-excitation.
"""

from __future__ import annotations

from math import prod
from types import ModuleType
from typing import Any

import torch
import triton
from torch import Tensor

from pytorchvideo_autox3d.kernels.batch_norm_triton_passes import (
    apply_kernel,
    gradient_kernel,
    reduce_kernel,
    statistics_kernel,
)

# Numbers that a program holds at once, and the channels among them, at most.
_BLOCK_NUMBERS = 2048
_BLOCK_CHANNELS = 64
# Positions of one partial sum at least, and about how many partial sums there are at most.
_POSITIONS_PER_SUM = 1024
_MOST_SUMS = 1024
_COEFFICIENT_ROWS = 5

# What the operators do the small work with, on float64 tensors.
library: ModuleType = torch


def _blocks(x: Tensor) -> tuple[int, int]:
    """Positions and channels of a program's block, powers of two."""
    channels = min(_BLOCK_CHANNELS, triton.next_power_of_2(x.shape[1]))
    return _BLOCK_NUMBERS // channels, channels


def _per_sum(x: Tensor) -> tuple[int, int]:
    """Positions of a partial sum, and partial sums of a clip; both depend on the shape alone."""
    positions = prod(x.shape[2:])
    per_part = min(positions, max(_POSITIONS_PER_SUM, triton.cdiv(x.shape[0] * positions, _MOST_SUMS)))
    return per_part, triton.cdiv(positions, per_part)


def _summed(kernel: Any, x: Tensor, tensors: tuple[Any, ...], kinds: int, options: tuple[Any, ...] = ()) -> Tensor:
    """Run a pass that sums; returns its sums as float64 (kinds, B, parts, C)."""
    batch, channels = x.shape[:2]
    per_part, parts = _per_sum(x)
    block_p, block_c = _blocks(x)
    sums = torch.empty((kinds, batch, parts, channels), dtype=torch.float32, device=x.device)
    grid = (batch * parts, triton.cdiv(channels, block_c))
    with torch.cuda.device_of(x):
        kernel[grid](x, *tensors, sums, parts, prod(x.shape[2:]), per_part, channels, *options, block_p, block_c)
    return sums.double()


def _written(kernel: Any, x: Tensor, tensors: tuple[Any, ...], options: tuple[Any, ...]) -> None:
    """Run a pass that writes maps."""
    block_p, block_c = _blocks(x)
    positions, channels = prod(x.shape[2:]), x.shape[1]
    parts = triton.cdiv(positions, block_p)
    with torch.cuda.device_of(x):
        kernel[x.shape[0] * parts, triton.cdiv(channels, block_c)](
            x, *tensors, parts, positions, channels, *options, block_p, block_c
        )


def _coefficients(x: Tensor, rows: tuple[Any, ...]) -> tuple[Tensor, int]:
    """Rows of (C,), (B, C) or numbers as float32 (1 or B, _COEFFICIENT_ROWS, C), and how far apart two clips' are."""
    clips = x.shape[0] if any(isinstance(row, Tensor) and row.dim() == 2 for row in rows) else 1
    packed = torch.empty((clips, _COEFFICIENT_ROWS, x.shape[1]), dtype=torch.float32, device=x.device)
    for number, row in enumerate(rows):
        packed[:, number] = row
    return packed, packed.stride(0) if clips > 1 else 0


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def small(tensor: Tensor | None) -> Tensor | None:
    """A parameter or statistic in float64; a 1x1x1 convolution's weight (R, C, 1, 1, 1) becomes a matrix."""
    if tensor is None:
        return None
    return tensor.detach().double().reshape(tensor.shape if tensor.dim() < 3 else tensor.shape[:2])


def tensor_like(value: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """Copy a float64 tensor to one of this type and shape."""
    return value.to(dtype, copy=True).reshape(shape)


def statistics(x: Tensor) -> Tensor:
    """Mean and variance of x (B, C, T, H, W), in one pass.

    Returns:
        Float64 rows of C numbers: the mean, the biased variance, then the mean of each clip, (2 + B, C).
    """
    total, squares, start = _summed(statistics_kernel, _channels_last(x), (), 3)
    positions, (per_part, _parts) = prod(x.shape[2:]), _per_sum(x)
    size = (positions - torch.arange(0, positions, per_part, device=x.device)).clamp(max=per_part).view(-1, 1)
    clip_mean = (total + size * start).sum(1) / positions
    mean = clip_mean.mean(0)
    # The sums of squares about each part's own start, moved to the mean of all.
    distance = start - mean
    squares = squares + distance * (2 * total + size * distance)
    return torch.cat((mean[None], squares.sum((0, 1))[None] / (x.shape[0] * positions), clip_mean))


def apply(x: Tensor, rows: tuple[Any, ...], residual: Tensor | None, activation: str) -> Tensor:
    """Normalise x and what follows: activation((x - mean) * factor + offset + residual).

    Args:
        x: (B, C, T, H, W).
        rows: mean, factor and offset, each (C,) or (B, C).
        residual: of x's shape, or None.
        activation: "none", "relu" or "silu".
    """
    x = _channels_last(x)
    out = torch.empty_like(x)
    added = x if residual is None else _channels_last(residual)
    _written(apply_kernel, x, (added, out, *_coefficients(x, rows)), (residual is not None, activation))
    return out


def reduce(
    grad: Tensor, x: Tensor, rows: tuple[Any, ...], residual: Tensor | None, activation: str
) -> tuple[Tensor, Tensor]:
    """Sum what the parameters' gradients need.

    Args:
        grad: the gradient of the output.
        x: the norm's input.
        rows: mean, factor and offset of the forward pass.
        residual: of the forward pass, or None.
        activation: of the forward pass.
    Returns:
        The sums over each clip of h and of h * (x - mean), float64 (B, C) each, where h is `grad` brought back through
        the activation.
    """
    x, residual = _channels_last(x), _needed(residual, activation)
    tensors = (_channels_last(grad), x if residual is None else residual, *_coefficients(x, rows))
    total, products = _summed(reduce_kernel, x, tensors, 2, (residual is not None, activation)).sum(2)
    return total, products


def gradient(
    grad: Tensor, x: Tensor, rows: tuple[Any, ...], residual: Tensor | None, activation: str
) -> tuple[Tensor, Tensor | None]:
    """The gradients of x and of the residual.

    Args:
        grad: the gradient of the output.
        x: the norm's input.
        rows: mean, factor, offset, x_factor and constant; dx = h * factor + (x - mean) * x_factor + constant, where
            h is `grad` brought back through the activation.
        residual: of the forward pass, or None.
        activation: of the forward pass.
    Returns:
        dx, and h for the residual; None in its place without a residual or an activation.
    """
    x, residual = _channels_last(x), _needed(residual, activation)
    out, back = torch.empty_like(x), None if residual is None else torch.empty_like(residual)
    dummies = (x if residual is None else residual, out, out if back is None else back)
    tensors = (_channels_last(grad), *dummies, *_coefficients(x, rows))
    _written(gradient_kernel, x, tensors, (residual is not None, activation))
    return out, back


def _needed(residual: Tensor | None, activation: str) -> Tensor | None:
    """The residual where the gradient depends on it; without an activation its own gradient is just `grad`."""
    return None if residual is None or activation == "none" else _channels_last(residual)
