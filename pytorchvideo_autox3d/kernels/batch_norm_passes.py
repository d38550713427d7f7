"""The kernels of batch normalisation with an activation: numba loops around the passes of `batch_norm_ir.py`.

The pixels of a clip are cut into runs whose number depends on the shape alone; a run is an item. The sums of the runs
are added by whoever finishes the last one, in float64 and in the runs' order, so that the result is the same for any
number of threads. See `compiling.py` for what a kernel is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir

from pytorchvideo_autox3d.kernels import activation_ir, batch_norm_ir, vector_ir
from pytorchvideo_autox3d.kernels.batch_norm_ir import RUNS, SUM_ROWS
from pytorchvideo_autox3d.kernels.compiling import (
    ITEMS,
    compile_kernel,
    finished_items,
    next_item,
    pointer,
    revision,
    row_caller,
)

# A call's parameters: 64-bit integers at these places; addresses, then sizes. COEFFICIENT_STRIDE is 0 where all clips
# share one set of coefficients. RESULT takes the sums of all runs, float64.
X, GRAD, RESIDUAL, OUT, OUT2, COEFFICIENTS, SUMS, RESULT = range(3, 11)
BATCH, PIXELS, RUNS_PER_CLIP, CHANNELS, SLOTS, COEFFICIENT_STRIDE = range(11, 17)
NUM_PARAMETERS = 17


def _run_function(module: ir.Module, config: str) -> ir.Function:
    name, element, width, activation, _ = config.split("/")
    return RUNS[name](module, vector_ir.Element(element, int(width)), activation)


call_run: Any = row_caller(_run_function)
_GENERATORS = (vector_ir, activation_ir, batch_norm_ir)


@cache
def _revision() -> str:
    return revision(_GENERATORS)


@numba.njit(inline="always")
def _slot(channel: int, channels: int, slots: int, width: int) -> int:
    """Where the sum of a channel lies: the last vector begins at C - V, those before lie in order."""
    return channel if channel < channels - width else slots - channels + channel


@numba.njit
def _add_statistics(p: Any, sums: Any, result: Any, width: int) -> None:
    """Result: means (C,), sums of squared deviations from them (C,), means of each clip (B, C)."""
    batch, pixels, runs, channels, slots = p[BATCH], p[PIXELS], p[RUNS_PER_CLIP], p[CHANNELS], p[SLOTS]
    result[: (2 + batch) * channels] = 0.0
    for b in range(batch):
        for j in range(runs):
            first = (b * runs + j) * SUM_ROWS * slots
            size = (j + 1) * pixels // runs - j * pixels // runs
            for c in range(channels):
                s = _slot(c, channels, slots, width)
                total = sums[first + s] + size * np.float64(sums[first + 2 * slots + s])
                result[(2 + b) * channels + c] += total
        for c in range(channels):
            result[c] += result[(2 + b) * channels + c]
            result[(2 + b) * channels + c] /= pixels
    for c in range(channels):
        result[c] /= batch * pixels
    for b in range(batch):
        for j in range(runs):
            first = (b * runs + j) * SUM_ROWS * slots
            size = (j + 1) * pixels // runs - j * pixels // runs
            for c in range(channels):
                s = _slot(c, channels, slots, width)
                moved = np.float64(sums[first + s]) / size
                distance = np.float64(sums[first + 2 * slots + s]) + moved - result[c]
                result[channels + c] += sums[first + slots + s] - size * moved * moved + size * distance * distance


@numba.njit
def _add_products(p: Any, sums: Any, result: Any, width: int) -> None:
    """Result: of each clip the sums of h (C,) and of h * (x - m) (C,)."""
    batch, runs, channels, slots = p[BATCH], p[RUNS_PER_CLIP], p[CHANNELS], p[SLOTS]
    result[: 2 * batch * channels] = 0.0
    for b in range(batch):
        for j in range(runs):
            first = (b * runs + j) * SUM_ROWS * slots
            for c in range(channels):
                s = _slot(c, channels, slots, width)
                result[2 * b * channels + c] += sums[first + s]
                result[(2 * b + 1) * channels + c] += sums[first + slots + s]


@cache
def run_kernel(name: str, element: str, width: int, activation: str = "none") -> Any:
    """Kernel of one pass (see `batch_norm_ir.py`) over tensors of this element, with this many channels a vector."""
    config = f"{name}/{element}/{width}/{activation}/{_revision()}"
    item = vector_ir.Element(element, width)
    x_bytes, acc_bytes = item.bytes, item.accumulator_bytes
    acc_type = np.float64 if element == "f64" else np.float32
    has_statistics, has_products = name == "statistics", name == "reduce"

    def over_runs(parameters: Any) -> None:
        p = numba.carray(parameters, (NUM_PARAMETERS,), np.int64)
        items, pixels, runs, channels, slots = p[ITEMS], p[PIXELS], p[RUNS_PER_CLIP], p[CHANNELS], p[SLOTS]
        row = channels * x_bytes
        while True:
            index: int = next_item(parameters)
            if index >= items:
                break
            b, j = index // runs, index % runs
            low, high = j * pixels // runs, (j + 1) * pixels // runs
            start = (b * pixels + low) * row
            residual = p[RESIDUAL] + start if p[RESIDUAL] != 0 else 0
            sums = p[SUMS] + index * SUM_ROWS * slots * acc_bytes
            call_run(config, (p[X] + start, p[GRAD] + start, residual, p[OUT] + start, p[OUT2] + start,
                     p[COEFFICIENTS] + b * p[COEFFICIENT_STRIDE], sums, high - low, channels, slots))  # fmt: skip
            if (has_statistics or has_products) and finished_items(parameters) == items:
                parts = numba.carray(pointer(p[SUMS]), (items * SUM_ROWS * slots,), acc_type)
                result = numba.carray(pointer(p[RESULT]), ((2 + 2 * p[BATCH]) * channels,), np.float64)
                if has_statistics:
                    _add_statistics(p, parts, result, width)
                else:
                    _add_products(p, parts, result, width)

    return compile_kernel(over_runs, config)
