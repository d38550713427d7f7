"""Depthwise 3D convolution on the CPU: the loops over rows, and how they are spread over threads.

Tensors are dense (B, T, H, W, C): torch's channels_last_3d. Padding is k // 2 on every side, kernels are odd.

The work of a call is cut into items, a fixed number for a shape; threads take the next item until none is left.
No item depends on another and partial sums are added in a fixed order, so the result is the same for any number
of threads. Where torch's OpenMP runtime can be reached, the items run on torch's own threads (a second pool would
compete with torch's, whose threads spin for a while after each parallel region); elsewhere, and in a process
forked from one that used OpenMP (which doesn't survive a fork), on a small pool of Python threads.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache, partial
from math import prod
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from pytorchvideo_autox3d.layers import depthwise_ir as code
from pytorchvideo_autox3d.layers.depthwise_ops import output_shape

ELEMENTS = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16"}
# Multiply-adds below which waking another thread costs more than it saves, and per item of a larger call.
_WORK_PER_ITEM = 400_000
_MOST_ITEMS = 256
# A call's parameters: 64-bit integers at these places, then the spans of frames and of rows (forward and input
# gradient). The weight gradient has its sums in the place of the weight, the output gradient in that of the output.
_ITEMS, _SOURCE, _WEIGHT, _OUT, _BATCH = range(1, 6)
_FRAMES_IN, _ROWS_IN, _COLUMNS_IN, _FRAMES, _ROWS, _COLUMNS, _CHANNELS = range(6, 13)
_TAP_ROWS, _STEP_T, _STEP_H, _TAP_STEP_T, _TAP_STEP_H = range(13, 18)
_TAP_FRAMES, _STRIDE_T, _SLOTS = range(13, 16)
_SPANS = 18


def vector_width(dtype: torch.dtype, channels: int) -> int:
    """Channels of a vector for this many channels; 0 where the kernels don't pay."""
    width = code.vector_bytes() // (8 if dtype == torch.float64 else 4)
    while width > channels:
        width //= 2
    return width if width >= 4 else 0


# ---------------------------------------------------------------------------------------------- numba kernels


def _next_item(typingctx: Any, address: Any) -> Any:
    """Take the next item: an atomic increment of the counter at `address`, giving its old value."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        counter = builder.bitcast(args[0], code.I64.as_pointer())
        return builder.atomic_rmw("add", counter, ir.Constant(code.I64, 1), "monotonic")

    return types.int64(types.voidptr), codegen


next_item: Any = intrinsic(_next_item)


def _row_function(module: ir.Module, config: str) -> ir.Function:
    """Add the function for one row to `module`: see `_config`."""
    kind: Any
    kind, element, width, size, stride, _ = config.split("/")
    item = code.Element(element, int(width))
    if kind == "weight":
        return code.weight_row(module, item, int(size), int(stride))
    return code.correlate_row(module, item, kind, int(size), int(stride))


def _call_row(typingctx: Any, config: Any, arguments: Any) -> Any:
    """Call the row function that the literal string `config` names with a tuple of 64-bit integers."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        values = [builder.extract_value(args[1], index) for index in range(len(arguments))]
        builder.call(_row_function(builder.module, config.literal_value), values)
        return context.get_dummy_value()

    return types.void(config, arguments), codegen


call_row: Any = intrinsic(prefer_literal=True)(_call_row)


@cache
def _revision() -> str:
    """Names the code generator: numba knows when this file changes, but not when the one it imports does."""
    return hashlib.sha256(Path(code.__file__).read_bytes()).hexdigest()[:16]


def _config(kind: str, element: str, width: int, size: int, stride: int) -> str:
    """All that a kernel is compiled for, as a plain string: numba's disk cache is keyed by it."""
    return f"{kind}/{element}/{width}/{size}/{stride}/{_revision()}"


def _compile(body: Callable[[Any], None]) -> Any:
    """Compile `body(parameters)` to a C callback; kept on disk where numba finds a place it may write to."""
    compiler = partial(numba.cfunc, types.void(types.voidptr), error_model="numpy")
    try:
        return compiler(cache=True)(body)
    except RuntimeError:  # "cannot cache function": a read-only installation and no home
        return compiler()(body)


@cache
def correlate_kernel(element: str, width: int, kind: code.Kind, size: int, stride: int) -> Any:
    """Kernel of the forward pass or of the input gradient, for one kernel width and stride along a row."""
    config = _config(kind, element, width, size, stride)
    item = code.Element(element, width)
    x_bytes, w_bytes = item.bytes, item.accumulator_bytes

    def correlate(parameters: Any) -> None:
        p = numba.carray(parameters, (1 << 20,), np.int64)
        items, source, weight, out = p[_ITEMS], p[_SOURCE], p[_WEIGHT], p[_OUT]
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
                    call_row(config, (source + first, weight + taps, target, p[span_t + 2], p[span_h + 2],
                         x_dt, x_dh, w_dt, w_dh, channels, columns, columns_in))  # fmt: skip

    return _compile(correlate)


@cache
def weight_kernel(element: str, width: int, size: int, stride: int) -> Any:
    """Kernel of the weight gradient: item i adds its rows' share to the i-th block of partial sums."""
    config = _config("weight", element, width, size, stride)
    item = code.Element(element, width)
    per_pass = code.rows_per_pass(size)
    x_bytes, w_bytes = item.bytes, item.accumulator_bytes

    def weight_gradient(parameters: Any) -> None:
        p = numba.carray(parameters, (1 << 20,), np.int64)
        items, source, sums, gout = p[_ITEMS], p[_SOURCE], p[_WEIGHT], p[_OUT]
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

    return _compile(weight_gradient)


# ------------------------------------------------------------------------------------------------------ threads


class _Threads:
    """Runs a kernel on as many threads as torch uses."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._openmp = _find_openmp()
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        self._pool, self._openmp = None, None

    def run(self, kernel: Any, parameters: np.ndarray, count: int) -> None:
        """Run `kernel(parameters)` on `count` threads at once and wait for all of them."""
        address = parameters.ctypes.data
        if count == 1:
            kernel.ctypes(address)
        elif self._openmp is not None:
            self._openmp(kernel.address, address, count, 0)
        else:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="depthwise")
            others = [self._pool.submit(kernel.ctypes, address) for _ in range(count - 1)]
            kernel.ctypes(address)
            for other in others:
                other.result()


def _find_openmp() -> Any:
    """GOMP_parallel(function, data, threads, flags) of the OpenMP runtime that torch uses; None if it has none."""
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        # Looking a name up in a library looks in what it was linked with, too, so this finds torch's own runtime.
        parallel = ctypes.CDLL(str(library)).GOMP_parallel
    except (OSError, AttributeError):
        return None
    parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    parallel.restype = None
    return parallel


@lru_cache(maxsize=1)
def threads() -> _Threads:
    return _Threads()


def _item_count(lines: int, work: int) -> int:
    return max(1, min(lines, _MOST_ITEMS, work // _WORK_PER_ITEM))


# -------------------------------------------------------------------------------------------------------- calls


def _spans(kind: code.Kind, outputs: int, inputs: int, size: int, stride: int) -> tuple[int, ...]:
    """For each output position: first input position, first tap, number of taps, along one axis."""
    pad = size // 2
    spans: list[int] = []
    for position in range(outputs):
        pairs = []
        for tap in range(size):
            if kind == "forward":
                source, aligned = position * stride + tap - pad, True
            else:
                source, rest = divmod(position + pad - tap, stride)
                aligned = rest == 0
            if aligned and 0 <= source < inputs:
                pairs.append((source, tap))
        first = pairs[0] if pairs else (0, 0)
        spans += [*first, len(pairs)]
    return tuple(spans)


Strides = tuple[int, int]


@lru_cache(maxsize=4096)
def _correlate_plan(
    kind: code.Kind,
    dtype: torch.dtype,
    source: tuple[int, ...],
    out: tuple[int, ...],
    size_t: int,
    size: int,
    strides: Strides,
) -> tuple[Any, np.ndarray]:
    """The kernel for tensors of these shapes, and its parameters with the addresses left open."""
    batch, channels, frames, rows, columns = out
    _, _, frames_in, rows_in, columns_in = source
    stride_t, stride = strides
    kernel = correlate_kernel(ELEMENTS[dtype], vector_width(dtype, channels), kind, size, stride)
    items = _item_count(batch * rows, prod(out if kind == "forward" else source) * size_t * size * size)
    step_t, step_h, tap_t, tap_h = (1, 1, 1, 1) if kind == "forward" else (-1, -1, stride_t, stride)
    header = [0, items, 0, 0, 0, batch, frames_in, rows_in, columns_in, frames, rows, columns, channels,
              size, step_t, step_h, tap_t, tap_h]  # fmt: skip
    spans_t = _spans(kind, frames, frames_in, size_t, stride_t)
    spans_h = _spans(kind, rows, rows_in, size, stride)
    return kernel, np.array([*header, *spans_t, *spans_h], dtype=np.int64)


def _correlate(kind: code.Kind, source: Tensor, weight: Tensor, out: Tensor, strides: Strides) -> None:
    """out = source correlated with weight (C, 1, t, s, s); both tensors (B, C, T, H, W), made channels last."""
    source, packed = source.contiguous(memory_format=torch.channels_last_3d), _pack(weight)
    size_t, size = weight.shape[2:4]
    kernel, plan = _correlate_plan(kind, source.dtype, source.shape, out.shape, size_t, size, strides)
    parameters = plan.copy()
    parameters[_SOURCE], parameters[_WEIGHT], parameters[_OUT] = source.data_ptr(), packed.data_ptr(), out.data_ptr()
    threads().run(kernel, parameters, min(int(parameters[_ITEMS]), torch.get_num_threads()))


def _pack(weight: Tensor) -> Tensor:
    """(C, 1, t, s, s) -> (t * s * s, C), in the type that products are summed in."""
    packed = weight.reshape(weight.shape[0], -1).t().contiguous()
    return packed.float() if packed.dtype == torch.bfloat16 else packed


def forward(x: Tensor, weight: Tensor, strides: Strides) -> Tensor:
    """The convolution of x (B, C, T, H, W) with weight (C, 1, t, s, s); the result is channels_last_3d.

    torch's own forward is as fast or faster for kernels of one pixel (t x 1 x 1), and is taken there.
    """
    if weight.shape[3] == 1 and strides[1] == 1 and x.dtype == torch.float32 and x.numel():
        source, padding = x.contiguous(memory_format=torch.channels_last_3d), (weight.shape[2] // 2, 0, 0)
        out = torch.conv3d(source, weight, None, (strides[0], 1, 1), padding, 1, x.shape[1])
        return out.contiguous(memory_format=torch.channels_last_3d)
    out = torch.empty(output_shape(x.shape, *strides), dtype=x.dtype, memory_format=torch.channels_last_3d)
    if out.numel():
        _correlate("forward", x, weight, out, strides)
    return out


def input_gradient(grad: Tensor, weight: Tensor, shape: tuple[int, ...], strides: Strides) -> Tensor:
    """The gradient of the input, of `shape`, from the gradient of the output."""
    result = torch.empty(shape, dtype=grad.dtype, memory_format=torch.channels_last_3d)
    if result.numel():
        _correlate("input_gradient", grad, weight, result, strides)
    return result


def weight_gradient(grad: Tensor, x: Tensor, shape: tuple[int, ...], strides: Strides) -> Tensor:
    """The gradient of the weight, of `shape` (C, 1, t, s, s), from the gradient of the output and the input."""
    if not grad.numel():
        return x.new_zeros(shape)
    batch, channels, frames_in, rows_in, columns_in = x.shape
    _, _, frames, rows, columns = grad.shape
    size_t, size = shape[2:4]
    taps = size_t * size * size
    width = vector_width(x.dtype, channels)
    slots = -(-channels // width) * width
    # Each item has its own sums; together they stay small beside the tensors read.
    items = min(_item_count(batch * rows, grad.numel() * taps), max(1, grad.numel() // (4 * taps * slots)), 64)
    sums = torch.zeros((items, taps, slots), dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)
    source = x.contiguous(memory_format=torch.channels_last_3d)
    grad = grad.contiguous(memory_format=torch.channels_last_3d)
    header = [0, items, source.data_ptr(), sums.data_ptr(), grad.data_ptr(), batch,
              frames_in, rows_in, columns_in, frames, rows, columns, channels,
              size_t, strides[0], slots]  # fmt: skip
    kernel = weight_kernel(ELEMENTS[x.dtype], width, size, strides[1])
    threads().run(kernel, np.array(header, dtype=np.int64), min(items, torch.get_num_threads()))
    total = sums.sum(0)
    # The last vector begins at C - V: its V sums are the last V channels, those before lie in order.
    total = torch.cat((total[:, : channels - width], total[:, slots - width :]), dim=1)
    return total.t().to(x.dtype).contiguous().view(shape)
