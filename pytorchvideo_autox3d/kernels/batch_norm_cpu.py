"""Batch normalisation with an activation on the CPU: calls of the kernels in `batch_norm_passes.py`.

Tensors are dense (B, T, H, W, C): torch's channels_last_3d. What is small, the work on channels, is done in float64.
Shapes: B clips, C channels, R channels of the squeeze-excitation.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import NamedTuple

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


class Plan(NamedTuple):
    """The parameters of a call with the addresses left open, and its threads at most."""

    parameters: np.ndarray
    items: int
    slots: int
    most_threads: int


@lru_cache(maxsize=4096)
def _plan(shape: tuple[int, ...], width: int) -> Plan:
    batch, channels, *sizes = shape
    pixels = prod(sizes)
    per_run = max(1, min(_MOST_PIXELS_PER_RUN, _NUMBERS_PER_RUN // channels))
    runs = -(-pixels // per_run)
    slots = -(-channels // width) * width
    parameters = np.zeros(places.NUM_PARAMETERS, dtype=np.int64)
    parameters[ITEMS] = batch * runs
    parameters[places.BATCH], parameters[places.PIXELS], parameters[places.RUNS_PER_CLIP] = batch, pixels, runs
    parameters[places.CHANNELS], parameters[places.SLOTS] = channels, slots
    return Plan(parameters, batch * runs, slots, max(1, prod(shape) // _NUMBERS_PER_THREAD))


def _accumulator(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _run(name: str, activation: str, x: Tensor, tensors: dict[int, Tensor | None]) -> None:
    """Run a pass over x; `tensors` by their places among the parameters."""
    width = vector_width(x.dtype, x.shape[1])
    plan = _plan(tuple(x.shape), width)
    kernel = run_kernel(name, ELEMENTS[x.dtype], width, activation)
    parameters = plan.parameters.copy()
    parameters[places.X] = x.data_ptr()
    for place, tensor in tensors.items():
        parameters[place] = 0 if tensor is None else tensor.data_ptr()
    coefficients = tensors.get(places.COEFFICIENTS)
    if coefficients is not None and coefficients.shape[0] > 1:
        parameters[places.COEFFICIENT_STRIDE] = coefficients.stride(0) * coefficients.element_size()
    threads().run(kernel, parameters, min(plan.items, plan.most_threads, torch.get_num_threads()))


def _summed(name: str, activation: str, x: Tensor, tensors: dict[int, Tensor | None], rows: int) -> Tensor:
    """Run a pass that sums; the sums of all runs as float64 (rows, C)."""
    plan = _plan(tuple(x.shape), vector_width(x.dtype, x.shape[1]))
    sums = torch.zeros(plan.items * SUM_ROWS * plan.slots, dtype=_accumulator(x))
    result = torch.empty((rows, x.shape[1]), dtype=torch.float64)
    _run(name, activation, x, {**tensors, places.SUMS: sums, places.RESULT: result})
    return result


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (C,), biased variance (C,) and each clip's mean (B, C) of x (B, C, T, H, W), float64, in one pass."""
    result = _summed("statistics", "none", _channels_last(x), {}, 2 + x.shape[0])
    return result[0], result[1] / (x.numel() // x.shape[1]), result[2:]


def _coefficients(x: Tensor, *rows: Tensor) -> Tensor:
    """Rows of (C,) or (B, C) as (1 or B, COEFFICIENT_ROWS, C), in the accumulator's type."""
    clips = max(row.shape[0] if row.dim() == 2 else 1 for row in rows)
    packed = torch.empty((clips, COEFFICIENT_ROWS, x.shape[1]), dtype=_accumulator(x))
    for number, row in enumerate(rows):
        packed[:, number] = row
    return packed


def apply(x: Tensor, mean: Tensor, factor: Tensor, added: Tensor, residual: Tensor | None, activation: str) -> Tensor:
    """activation((x - mean) * factor + added + residual); the last three of (C,) or (B, C)."""
    x = _channels_last(x)
    out = torch.empty_like(x)
    residual = None if residual is None else _channels_last(residual)
    coefficients = _coefficients(x, mean, factor, added)
    _run("apply", activation, x,
         {places.COEFFICIENTS: coefficients, places.RESIDUAL: residual, places.OUT: out})  # fmt: skip
    return out


def reduce(
    grad: Tensor, x: Tensor, mean: Tensor, factor: Tensor, added: Tensor, residual: Tensor | None, activation: str
) -> tuple[Tensor, Tensor]:
    """The sums over each clip of h and h * (x - mean), (B, C); h is `grad` brought back through the activation."""
    x, batch = _channels_last(x), x.shape[0]
    residual = None if residual is None or activation == "none" else _channels_last(residual)
    tensors: dict[int, Tensor | None] = {
        places.COEFFICIENTS: _coefficients(x, mean, factor, added),
        places.GRAD: _channels_last(grad),
        places.RESIDUAL: residual,
    }
    result = _summed("reduce", activation, x, tensors, 2 + 2 * batch)
    sums = result[: 2 * batch].view(batch, 2, -1)
    return sums[:, 0], sums[:, 1]


def gradient(
    grad: Tensor,
    x: Tensor,
    rows: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    residual: Tensor | None,
    activation: str,
) -> tuple[Tensor, Tensor | None]:
    """The gradients of x and of the residual (None without one), from `rows`: mean, factor, added, and of x.

    dx = h * factor + (x - mean) * fourth row + fifth row.
    """
    x = _channels_last(x)
    residual = None if residual is None or activation == "none" else _channels_last(residual)
    out = torch.empty_like(x)
    back = None if residual is None else torch.empty_like(residual)
    tensors: dict[int, Tensor | None] = {
        places.COEFFICIENTS: _coefficients(x, *rows),
        places.GRAD: _channels_last(grad),
        places.RESIDUAL: residual,
        places.OUT: out,
        places.OUT2: back,
    }
    _run("gradient", activation, x, tensors)
    return out, back
