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
    """The parameters of a call with the addresses left open, channels of a vector, and its threads at most."""

    parameters: np.ndarray
    width: int
    items: int
    channels: int
    slots: int
    most_threads: int


@lru_cache(maxsize=4096)
def _plan(shape: tuple[int, ...], dtype: torch.dtype, sums: bool) -> Plan:
    """For a pass that sums, or for one that writes a tensor."""
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
    """A parameter or statistic as a float64 array, convolutions 1x1x1 as matrices."""
    if tensor is None:
        return None
    array = tensor.detach().numpy() if tensor.dtype != torch.bfloat16 else tensor.detach().float().numpy()
    return np.asarray(array if array.ndim < 3 else array.reshape(array.shape[:2]), dtype=np.float64)


def tensor_like(array: np.ndarray, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """A float64 array as a tensor of its own."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(dtype, copy=True).view(shape)


def _run(name: str, activation: str, x: Tensor, tensors: dict[int, Tensor | None], rows: tuple[Any, ...] = ()) -> None:
    """Run a pass over x; `tensors` by their places among the parameters, `rows` the coefficients of (C,) or (B, C)."""
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
    """Run a pass that sums; the sums of all runs as float64 (results, C)."""
    plan = _plan(x.shape, x.dtype, True)
    sums = torch.zeros(plan.items * SUM_ROWS * plan.slots, dtype=_accumulator(x))
    result = torch.empty((results, x.shape[1]), dtype=torch.float64)
    _run(name, activation, x, {**tensors, places.SUMS: sums, places.RESULT: result}, rows)
    return result.numpy()


def _stores(x: Tensor, plan: Plan, tensors: dict[int, Tensor | None]) -> str:
    """How the pass writes: past the caches where the result is large, and all vectors of it are whole lines."""
    out, back = tensors.get(places.OUT), tensors.get(places.OUT2)
    line = plan.width * x.element_size()
    if out is None or x.dtype != torch.float32 or x.nbytes < _PAST_CACHES_BYTES or plan.channels % plan.width:
        return places.PLAIN
    return (
        places.PLAIN if out.data_ptr() % line or (back is not None and back.data_ptr() % line) else places.PAST_CACHES
    )


def _coefficients(x: Tensor, rows: tuple[Any, ...], channels: int) -> np.ndarray:
    """Rows as (1 or B, COEFFICIENT_ROWS, channels), in the accumulator's type; repeated where pixels count as one."""
    clips = x.shape[0] if any(np.ndim(row) == 2 for row in rows) else 1
    dtype = np.float64 if x.dtype == torch.float64 else np.float32
    packed = np.empty((clips, COEFFICIENT_ROWS, channels // x.shape[1], x.shape[1]), dtype=dtype)
    for number, row in enumerate(rows):
        packed[:, number] = row[:, None] if np.ndim(row) == 2 else row
    return packed


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def statistics(x: Tensor) -> np.ndarray:
    """Rows of C numbers: mean and biased variance of x (B, C, T, H, W), then the mean of each clip; in one pass."""
    result = _summed("statistics", "none", _channels_last(x), {}, (), 2 + x.shape[0])
    result[1] /= x.numel() // x.shape[1]
    return result


def apply(x: Tensor, rows: tuple[Any, ...], residual: Tensor | None, activation: str) -> Tensor:
    """activation((x - mean) * factor + added + residual), `rows` being mean, factor and added."""
    x = _channels_last(x)
    out = torch.empty_like(x)
    residual = None if residual is None else _channels_last(residual)
    _run("apply", activation, x, {places.RESIDUAL: residual, places.OUT: out}, rows)
    return out


def reduce(
    grad: Tensor, x: Tensor, rows: tuple[Any, ...], residual: Tensor | None, activation: str
) -> tuple[np.ndarray, np.ndarray]:
    """The sums over each clip of h and h * (x - mean), (B, C); h is `grad` brought back through the activation."""
    x, batch = _channels_last(x), x.shape[0]
    tensors = {places.GRAD: _channels_last(grad), places.RESIDUAL: _needed(residual, activation)}
    result = _summed("reduce", activation, x, tensors, rows, 2 + 2 * batch)
    sums = result[: 2 * batch].reshape(batch, 2, -1)
    return sums[:, 0], sums[:, 1]


def gradient(
    grad: Tensor, x: Tensor, rows: tuple[Any, ...], residual: Tensor | None, activation: str
) -> tuple[Tensor, Tensor | None]:
    """The gradients of x and of the residual (None without one, or without an activation).

    dx = h * factor + (x - mean) * x_factor + constant, `rows` being mean, factor, added, x_factor and constant.
    """
    x, residual = _channels_last(x), _needed(residual, activation)
    out, back = torch.empty_like(x), None if residual is None else torch.empty_like(residual)
    tensors = {places.GRAD: _channels_last(grad), places.RESIDUAL: residual, places.OUT: out, places.OUT2: back}
    _run("gradient", activation, x, tensors, rows)
    return out, back


def _needed(residual: Tensor | None, activation: str) -> Tensor | None:
    """The residual where the gradient depends on it: its own gradient is `grad` where no activation follows."""
    return None if residual is None or activation == "none" else _channels_last(residual)
