"""Batch normalisation with an activation on the CPU: calls of the kernels in `batch_norm_passes.py`.

Tensors are dense (B, T, H, W, C): torch's channels_last_3d. What is small, the work on channels, is done in float64.
Shapes: B clips, C channels, R channels of the squeeze-excitation.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd, prod
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pytorchvideo_autox3d.kernels import batch_norm_passes as places
from pytorchvideo_autox3d.kernels.batch_norm_ir import COEFFICIENT_ROWS, SUM_ROWS
from pytorchvideo_autox3d.kernels.batch_norm_passes import run_kernel
from pytorchvideo_autox3d.kernels.compiling import ITEMS
from pytorchvideo_autox3d.kernels.elements import ELEMENTS, vector_width
from pytorchvideo_autox3d.kernels.threads import threads

# Numbers of a run: few enough that float32 sums stay exact and several threads share small tensors.
_NUMBERS_PER_RUN = 32_768
_MOST_PIXELS_PER_RUN = 2048
# Numbers below which waking another thread costs more than it saves.
_NUMBERS_PER_THREAD = 65_536


# Pixels that count as one, at most, where this makes every vector of a result a whole line; more slow down reading.
_MOST_TOGETHER = 4
# Bytes of a tensor that is written past the caches: it would not stay in them until it is read.
_PAST_CACHES_BYTES = 1 << 23


class Plan(NamedTuple):
    """What calls on tensors of one shape share.

    Args:
        parameters: the kernel's parameters, with the addresses still 0.
        width: channels of a vector.
        items: number of pieces that threads take one by one.
        channels: channels of a pixel, or of several that count as one.
        slots: `channels` rounded up to whole vectors.
        most_threads: how many threads are worth waking.
    """

    parameters: np.ndarray
    width: int
    items: int
    channels: int
    slots: int
    most_threads: int


@lru_cache(maxsize=4096)
def _plan(shape: tuple[int, ...], dtype: torch.dtype, sums: bool) -> Plan:
    """The plan for tensors of a shape (B, C, T, H, W), for a pass that only sums or for one that writes a tensor."""
    batch, channels, *sizes = shape
    pixels = prod(sizes)
    full = vector_width(dtype, 1 << 30)
    together = full // gcd(full, channels)
    if not sums and together <= _MOST_TOGETHER and pixels % together == 0:
        pixels, channels = pixels // together, channels * together
    width = vector_width(dtype, channels)
    per_run = max(1, min(_MOST_PIXELS_PER_RUN, _NUMBERS_PER_RUN // channels))
    runs = -(-pixels // per_run)
    slots = -(-channels // width) * width
    parameters = np.zeros(places.NUM_PARAMETERS, dtype=np.int64)
    parameters[ITEMS] = batch * runs
    parameters[places.BATCH], parameters[places.PIXELS], parameters[places.RUNS_PER_CLIP] = batch, pixels, runs
    parameters[places.CHANNELS], parameters[places.SLOTS] = channels, slots
    return Plan(parameters, width, batch * runs, channels, slots, max(1, prod(shape) // _NUMBERS_PER_THREAD))


def _accumulator(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


# What the operators do the small work with, on float64 arrays.
library: ModuleType = np


def small(tensor: Tensor | None) -> np.ndarray | None:
    """A parameter or statistic as a float64 array; a 1x1x1 convolution's weight (R, C, 1, 1, 1) becomes a matrix."""
    if tensor is None:
        return None
    array = tensor.detach().numpy() if tensor.dtype != torch.bfloat16 else tensor.detach().float().numpy()
    return np.asarray(array if array.ndim < 3 else array.reshape(array.shape[:2]), dtype=np.float64)


def tensor_like(array: np.ndarray, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """Copy a float64 array to a tensor of this type and shape."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(dtype, copy=True).view(shape)


def _run(name: str, activation: str, x: Tensor, tensors: dict[int, Tensor | None], rows: tuple[Any, ...] = ()) -> None:
    """Run one pass over x.

    Args:
        name: a key of `batch_norm_ir.RUNS`.
        activation: "none", "relu" or "silu".
        x: the norm's input, channels last.
        tensors: the other tensors by their places among the parameters; None is passed on as address 0.
        rows: the coefficients, each (C,) or (B, C).
    """
    plan = _plan(x.shape, x.dtype, places.SUMS in tensors)
    kernel = run_kernel(name, ELEMENTS[x.dtype], plan.width, activation, _stores(x, plan, tensors))
    parameters = plan.parameters.copy()
    parameters[places.X] = x.data_ptr()
    for place, tensor in tensors.items():
        parameters[place] = 0 if tensor is None else tensor.data_ptr()
    coefficients = _coefficients(x, rows, plan.channels)
    parameters[places.COEFFICIENTS] = coefficients.ctypes.data
    parameters[places.COEFFICIENT_STRIDE] = coefficients.strides[0] if len(coefficients) > 1 else 0
    threads().run(kernel, parameters, min(plan.items, plan.most_threads, torch.get_num_threads()))


def _summed(
    name: str, activation: str, x: Tensor, tensors: dict[int, Tensor | None], rows: tuple[Any, ...], results: int
) -> np.ndarray:
    """Run a pass that sums; returns the sums over all runs, float64 (results, C)."""
    plan = _plan(x.shape, x.dtype, True)
    sums = torch.zeros(plan.items * SUM_ROWS * plan.slots, dtype=_accumulator(x))
    result = torch.empty((results, x.shape[1]), dtype=torch.float64)
    _run(name, activation, x, {**tensors, places.SUMS: sums, places.RESULT: result}, rows)
    return result.numpy()


def _stores(x: Tensor, plan: Plan, tensors: dict[int, Tensor | None]) -> str:
    """How the pass writes: past the caches where the result is large and all its vectors begin at a cache line."""
    out, back = tensors.get(places.OUT), tensors.get(places.OUT2)
    line = plan.width * x.element_size()
    if out is None or x.dtype != torch.float32 or x.nbytes < _PAST_CACHES_BYTES or plan.channels % plan.width:
        return places.PLAIN
    return (
        places.PLAIN if out.data_ptr() % line or (back is not None and back.data_ptr() % line) else places.PAST_CACHES
    )


def _coefficients(x: Tensor, rows: tuple[Any, ...], channels: int) -> np.ndarray:
    """Pack rows as (1 or B, COEFFICIENT_ROWS, channels) in the accumulator's type.

    Where several pixels count as one, the channels' coefficients are repeated for each of them.
    """
    clips = x.shape[0] if any(np.ndim(row) == 2 for row in rows) else 1
    dtype = np.float64 if x.dtype == torch.float64 else np.float32
    packed = np.empty((clips, COEFFICIENT_ROWS, channels // x.shape[1], x.shape[1]), dtype=dtype)
    for number, row in enumerate(rows):
        packed[:, number] = row[:, None] if np.ndim(row) == 2 else row
    return packed


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def statistics(x: Tensor) -> np.ndarray:
    """Mean and variance of x (B, C, T, H, W), in one pass.

    Returns:
        Float64 rows of C numbers: the mean, the biased variance, then the mean of each clip, (2 + B, C).
    """
    result = _summed("statistics", "none", _channels_last(x), {}, (), 2 + x.shape[0])
    result[1] /= x.numel() // x.shape[1]
    return result


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
    residual = None if residual is None else _channels_last(residual)
    _run("apply", activation, x, {places.RESIDUAL: residual, places.OUT: out}, rows)
    return out


def reduce(
    grad: Tensor, x: Tensor, rows: tuple[Any, ...], residual: Tensor | None, activation: str
) -> tuple[np.ndarray, np.ndarray]:
    """Sum what the parameters' gradients need.

    Args:
        grad: the gradient of the output.
        x: the norm's input.
        rows: mean, factor and offset of the forward pass.
        residual: of the forward pass, or None.
        activation: of the forward pass.
    Returns:
        The sums over each clip of h and of h * (x - mean), (B, C) each, where h is `grad` brought back through the
        activation.
    """
    x, batch = _channels_last(x), x.shape[0]
    tensors = {places.GRAD: _channels_last(grad), places.RESIDUAL: _needed(residual, activation)}
    result = _summed("reduce", activation, x, tensors, rows, 2 + 2 * batch)
    sums = result[: 2 * batch].reshape(batch, 2, -1)
    return sums[:, 0], sums[:, 1]


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
    tensors = {places.GRAD: _channels_last(grad), places.RESIDUAL: residual, places.OUT: out, places.OUT2: back}
    _run("gradient", activation, x, tensors, rows)
    return out, back


def _needed(residual: Tensor | None, activation: str) -> Tensor | None:
    """The residual where the gradient depends on it; without an activation its own gradient is just `grad`."""
    return None if residual is None or activation == "none" else _channels_last(residual)
