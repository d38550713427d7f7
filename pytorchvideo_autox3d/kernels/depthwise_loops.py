"""The depthwise convolution's kernels: loops over rows in numba around the register tiles of `depthwise_ir.py`.

Tensors are dense (B, T, H, W, C). See `compiling.py` for what a kernel is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir

from pytorchvideo_autox3d.kernels import activation_ir, depthwise_ir, depthwise_weight_ir, vector_ir
from pytorchvideo_autox3d.kernels.compiling import compile_kernel, next_item, revision, row_caller
from pytorchvideo_autox3d.kernels.depthwise_ir import PLAIN, Kind

# A call's parameters: 64-bit integers at these places, then the spans of frames and of rows (forward and input
# gradient). The weight gradient has its sums in the place of the weight, the output gradient in that of the output.
ITEMS, SOURCE, WEIGHT, OUT, _BATCH = range(1, 6)
_FRAMES_IN, _ROWS_IN, _COLUMNS_IN, _FRAMES, _ROWS, _COLUMNS, _CHANNELS = range(6, 13)
_TAP_ROWS, _STEP_T, _STEP_H, _TAP_STEP_T, _TAP_STEP_H = range(13, 18)
_TAP_FRAMES, _STRIDE_T, _SLOTS = range(13, 16)
BIAS = 18
_SPANS = 19
PAST_CACHES = "past_caches"


def _row_function(module: ir.Module, config: str) -> ir.Function:
    """Write the function for one row into `module`; the string is that of `_config`."""
    kind: Any
    kind, element, width, size, stride, epilogue, stores, _ = config.split("/")
    item = vector_ir.Element(element, int(width))
    if kind == "weight":
        return depthwise_weight_ir.weight_row(module, item, int(size), int(stride))
    row = depthwise_ir.correlate_row(module, item, kind, int(size), int(stride), epilogue)
    return depthwise_ir.past_caches(module, item, row) if stores == PAST_CACHES else row


call_row: Any = row_caller(_row_function)
_GENERATORS = (vector_ir, activation_ir, depthwise_ir, depthwise_weight_ir)


@cache
def _revision() -> str:
    return revision(_GENERATORS)


def _config(
    kind: str, element: str, width: int, size: int, stride: int, epilogue: str = PLAIN, stores: str = PLAIN
) -> str:
    """All that a kernel is compiled for, as a plain string, which is the key of numba's disk cache."""
    return f"{kind}/{element}/{width}/{size}/{stride}/{epilogue}/{stores}/{_revision()}"


@cache
def correlate_kernel(
    element: str, width: int, kind: Kind, size: int, stride: int, epilogue: str = PLAIN, stores: str = PLAIN
) -> Any:
    """Compile the kernel of the forward pass or of the input gradient; the same arguments give the same kernel.

    Args:
        element: how the tensors store numbers: "f32", "f64" or "bf16".
        width: channels of a vector.
        kind: "forward" or "input_gradient".
        size: width of the convolution's kernel.
        stride: along a row.
        epilogue: the activation that follows the sums and the bias; PLAIN leaves the sums as they are.
        stores: PLAIN, or PAST_CACHES for large results whose rows are whole lines.
    """
    config = _config(kind, element, width, size, stride, epilogue, stores)
    item = vector_ir.Element(element, width)
    x_bytes, w_bytes = item.bytes, item.accumulator_bytes

    def correlate(parameters: Any) -> None:
        p = numba.carray(parameters, (1 << 20,), np.int64)
        items, source, weight, out, bias = p[ITEMS], p[SOURCE], p[WEIGHT], p[OUT], p[BIAS]
        frames_in, rows_in, columns_in = p[_FRAMES_IN], p[_ROWS_IN], p[_COLUMNS_IN]
        frames, rows, columns, channels = p[_FRAMES], p[_ROWS], p[_COLUMNS], p[_CHANNELS]
        tap_rows = p[_TAP_ROWS]
        row_in, row_out = columns_in * channels * x_bytes, columns * channels * x_bytes
        tap_row = size * channels * w_bytes
        x_dt, x_dh = p[_STEP_T] * rows_in * row_in, p[_STEP_H] * row_in
        w_dt, w_dh = p[_TAP_STEP_T] * tap_rows * tap_row, p[_TAP_STEP_H] * tap_row
        total = p[_BATCH] * rows
        while True:
            index: int = next_item(parameters)
            if index >= items:
                break
            for line in range(index * total // items, (index + 1) * total // items):
                b, h = line // rows, line % rows
                span_h = _SPANS + 3 * (frames + h)
                # Frames innermost: the few rows of every frame that an output row needs stay in the cache.
                for t in range(frames):
                    span_t = _SPANS + 3 * t
                    first = ((b * frames_in + p[span_t]) * rows_in + p[span_h]) * row_in
                    taps = (p[span_t + 1] * tap_rows + p[span_h + 1]) * tap_row
                    target = out + ((b * frames + t) * rows + h) * row_out
                    call_row(config, (source + first, weight + taps, target, bias, p[span_t + 2], p[span_h + 2],
                         x_dt, x_dh, w_dt, w_dh, channels, columns, columns_in))  # fmt: skip

    return compile_kernel(correlate, config)


@cache
def weight_kernel(element: str, width: int, size: int, stride: int) -> Any:
    """Compile the kernel of the weight gradient: item i adds its rows' share to the i-th block of partial sums.

    Args:
        element: how the tensors store numbers: "f32", "f64" or "bf16".
        width: channels of a vector.
        size: width of the convolution's kernel.
        stride: along a row.
    """
    config = _config("weight", element, width, size, stride)
    item = vector_ir.Element(element, width)
    per_pass = depthwise_weight_ir.rows_per_pass(size)
    x_bytes, w_bytes = item.bytes, item.accumulator_bytes

    def weight_gradient(parameters: Any) -> None:
        p = numba.carray(parameters, (1 << 20,), np.int64)
        items, source, sums, gout = p[ITEMS], p[SOURCE], p[WEIGHT], p[OUT]
        frames_in, rows_in, columns_in = p[_FRAMES_IN], p[_ROWS_IN], p[_COLUMNS_IN]
        frames, rows, columns, channels = p[_FRAMES], p[_ROWS], p[_COLUMNS], p[_CHANNELS]
        tap_frames, stride_t, slots = p[_TAP_FRAMES], p[_STRIDE_T], p[_SLOTS]
        pad_t, pad = tap_frames // 2, size // 2
        row_in, row_out = columns_in * channels * x_bytes, columns * channels * x_bytes
        frame_in, frame_out = rows_in * row_in, rows * row_out
        tap_row = size * slots * w_bytes
        total = p[_BATCH] * rows
        while True:
            index: int = next_item(parameters)
            if index >= items:
                break
            block = sums + index * tap_frames * size * tap_row
            for line in range(index * total // items, (index + 1) * total // items):
                b, h = line // rows, line % rows
                for dt in range(tap_frames):
                    # Frames t of the output with 0 <= t * stride_t + dt - pad_t < frames_in.
                    low = max(0, (pad_t - dt + stride_t - 1) // stride_t)
                    high = min(frames, (frames_in - 1 + pad_t - dt) // stride_t + 1)
                    if high <= low:
                        continue
                    first_t = low * stride_t + dt - pad_t
                    for base in range(0, size, per_pass):
                        first_h = h * stride + base - pad
                        dh_low = max(0, -first_h)
                        dh_high = min(size - base, rows_in - first_h)
                        call_row(config, (source + (b * frames_in + first_t) * frame_in + first_h * row_in,
                             gout + (b * frames + low) * frame_out + h * row_out,
                             block + (dt * size + base) * tap_row, high - low, stride_t * frame_in, frame_out,
                             row_in, dh_low, dh_high, channels, slots, columns, columns_in))  # fmt: skip

    return compile_kernel(weight_gradient, config)
