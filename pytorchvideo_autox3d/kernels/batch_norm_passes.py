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


# How a pass stores: as usual, or past the caches.
PLAIN, PAST_CACHES = "plain", "past"


def _run_function(module: ir.Module, config: str) -> ir.Function:
    name, element, width, activation, stores, _ = config.split("/")
    return RUNS[name](module, vector_ir.Element(element, int(width)), activation, stores == PAST_CACHES)


call_run: Any = row_caller(_run_function)
_GENERATORS = (vector_ir, activation_ir, batch_norm_ir)


@cache
def _revision() -> str:
    return revision(_GENERATORS)


@numba.njit
def _in_order(sums: Any, first: int, channels: int, slots: int, width: int, row: Any) -> None:
    """Copy one row of a run's sums to `row`, channel by channel.

    The last vector of a row begins at channel C - V (V channels a vector), so its sums overlap those before it.
    """
    whole = channels - width if slots != channels else channels
    for c in range(whole):
        row[c] = sums[first + c]
    for c in range(whole, channels):
        row[c] = sums[first + slots - channels + c]


@numba.njit
def _add_statistics(p: Any, sums: Any, result: Any, width: int) -> None:
    """Result: means (C,), sums of squared deviations from them (C,), means of each clip (B, C)."""
    batch, pixels, runs, channels, slots = p[BATCH], p[PIXELS], p[RUNS_PER_CLIP], p[CHANNELS], p[SLOTS]
    total, squares, start = np.empty(channels), np.empty(channels), np.empty(channels)
    means, deviations, clips = result[:channels], result[channels : 2 * channels], result[2 * channels :]
    result[: (2 + batch) * channels] = 0.0
    for b in range(batch):
        clip = clips[b * channels : (b + 1) * channels]
        for j in range(runs):
            first = (b * runs + j) * SUM_ROWS * slots
            size = (j + 1) * pixels // runs - j * pixels // runs
            _in_order(sums, first, channels, slots, width, total)
            _in_order(sums, first + 2 * slots, channels, slots, width, start)
            for c in range(channels):
                clip[c] += total[c] + size * start[c]
        for c in range(channels):
            clip[c] /= pixels
            means[c] += clip[c] / batch
    for b in range(batch):
        for j in range(runs):
            first = (b * runs + j) * SUM_ROWS * slots
            size = (j + 1) * pixels // runs - j * pixels // runs
            _in_order(sums, first, channels, slots, width, total)
            _in_order(sums, first + slots, channels, slots, width, squares)
            _in_order(sums, first + 2 * slots, channels, slots, width, start)
            for c in range(channels):
                # The sum of squares about the run's own start, moved to the mean of all.
                distance = start[c] - means[c]
                deviations[c] += squares[c] + distance * (2 * total[c] + size * distance)


@numba.njit
def _add_products(p: Any, sums: Any, result: Any, width: int) -> None:
    """Result: of each clip the sums of h (C,) and of h * (x - m) (C,)."""
    batch, runs, channels, slots = p[BATCH], p[RUNS_PER_CLIP], p[CHANNELS], p[SLOTS]
    row = np.empty(channels)
    result[: 2 * batch * channels] = 0.0
    for b in range(batch):
        for j in range(runs):
            for kind in range(2):
                _in_order(sums, ((b * runs + j) * SUM_ROWS + kind) * slots, channels, slots, width, row)
                target = result[(2 * b + kind) * channels : (2 * b + kind + 1) * channels]
                for c in range(channels):
                    target[c] += row[c]


@cache
def run_kernel(name: str, element: str, width: int, activation: str = "none", stores: str = PLAIN) -> Any:
    """Compile the kernel of one pass (see `batch_norm_ir.py`); the same arguments give the same kernel.

    Args:
        name: a key of `batch_norm_ir.RUNS`.
        element: how the tensors store numbers: "f32", "f64" or "bf16".
        width: channels of a vector.
        activation: "none", "relu" or "silu".
        stores: PLAIN, or PAST_CACHES for large results.
    """
    config = f"{name}/{element}/{width}/{activation}/{stores}/{_revision()}"
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
