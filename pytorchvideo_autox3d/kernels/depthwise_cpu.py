"""Depthwise 3D convolution on the CPU: calls of the kernels in `depthwise_loops.py`.

Tensors are dense (B, T, H, W, C): torch's channels_last_3d. Padding is k // 2 on every side, kernels are odd.

The work of a call is cut into items, a fixed number for a shape; threads take the next item until none is left.
No item depends on another and partial sums are added in a fixed order, so the result is the same for any number
of threads. Where torch's OpenMP runtime can be reached, the items run on torch's own threads (a second pool would
compete with torch's, whose threads spin for a while after each parallel region); elsewhere, and in a process
forked from one that used OpenMP (which doesn't survive a fork), on a small pool of Python threads.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pytorchvideo_autox3d.kernels.depthwise_ir import MOST_ROW_BYTES, PLAIN, Kind
from pytorchvideo_autox3d.kernels.depthwise_loops import (
    BIAS,
    ITEMS,
    OUT,
    PAST_CACHES,
    SOURCE,
    WEIGHT,
    correlate_kernel,
    weight_kernel,
)
from pytorchvideo_autox3d.kernels.elements import ELEMENTS, vector_width
from pytorchvideo_autox3d.kernels.shapes import output_shape
from pytorchvideo_autox3d.kernels.threads import threads
from pytorchvideo_autox3d.kernels.vector_ir import LINE_BYTES

# Multiply-adds below which waking another thread costs more than it saves, and per item of a larger call.
_WORK_PER_ITEM = 400_000
_MOST_ITEMS = 256
# Bytes of a result that is written past the caches: it would not stay in them until it is read.
PAST_CACHES_BYTES = 1 << 24


def _item_count(lines: int, work: int) -> int:
    return max(1, min(lines, _MOST_ITEMS, work // _WORK_PER_ITEM))


def _spans(kind: Kind, outputs: int, inputs: int, size: int, stride: int) -> tuple[int, ...]:
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
    kind: Kind,
    dtype: torch.dtype,
    source: tuple[int, ...],
    out: tuple[int, ...],
    size_t: int,
    size: int,
    strides: Strides,
    epilogue: str,
    stores: str,
) -> tuple[Any, np.ndarray]:
    """The kernel for tensors of these shapes, and its parameters with the addresses still 0."""
    batch, channels, frames, rows, columns = out
    _, _, frames_in, rows_in, columns_in = source
    stride_t, stride = strides
    kernel = correlate_kernel(ELEMENTS[dtype], vector_width(dtype, channels), kind, size, stride, epilogue, stores)
    items = _item_count(batch * rows, prod(out if kind == "forward" else source) * size_t * size * size)
    step_t, step_h, tap_t, tap_h = (1, 1, 1, 1) if kind == "forward" else (-1, -1, stride_t, stride)
    header = [0, items, 0, 0, 0, batch, frames_in, rows_in, columns_in, frames, rows, columns, channels,
              size, step_t, step_h, tap_t, tap_h, 0]  # fmt: skip
    spans_t = _spans(kind, frames, frames_in, size_t, stride_t)
    spans_h = _spans(kind, rows, rows_in, size, stride)
    return kernel, np.array([*header, *spans_t, *spans_h], dtype=np.int64)


def correlate(
    kind: Kind,
    source: Tensor,
    weight: Tensor,
    out: Tensor,
    strides: Strides,
    bias: Tensor | None = None,
    epilogue: str = PLAIN,
) -> None:
    """Write source correlated with weight (C, 1, t, s, s) to `out`; both maps are (B, C, T, H, W).

    `epilogue` names the activation of the sums plus the bias; PLAIN leaves the sums as they are.
    """
    source, packed = source.contiguous(memory_format=torch.channels_last_3d), _pack(weight)
    size_t, size = weight.shape[2:4]
    kernel, plan = _correlate_plan(
        kind, source.dtype, source.shape, out.shape, size_t, size, strides, epilogue, _stores(source, out)
    )
    parameters = plan.copy()
    if epilogue != PLAIN:
        added = torch.zeros(weight.shape[0], dtype=packed.dtype) if bias is None else bias.to(packed.dtype).contiguous()
        parameters[BIAS] = added.data_ptr()
    parameters[SOURCE], parameters[WEIGHT], parameters[OUT] = source.data_ptr(), packed.data_ptr(), out.data_ptr()
    threads().run(kernel, parameters, min(int(parameters[ITEMS]), torch.get_num_threads()))


def _stores(source: Tensor, out: Tensor) -> str:
    """How a result is written: past the caches where it is large, no smaller than the source, and of whole lines."""
    row = out.shape[1] * out.shape[4] * out.element_size()
    lines = row % LINE_BYTES == 0 and out.data_ptr() % LINE_BYTES == 0 and row <= MOST_ROW_BYTES
    large = out.nbytes >= max(PAST_CACHES_BYTES, source.nbytes)
    return PAST_CACHES if lines and large else PLAIN


def _pack(weight: Tensor) -> Tensor:
    """(C, 1, t, s, s) -> (t * s * s, C), in the type that products are summed in."""
    packed = weight.reshape(weight.shape[0], -1).t().contiguous()
    return packed.float() if packed.dtype == torch.bfloat16 else packed


def forward(x: Tensor, weight: Tensor, strides: Strides) -> Tensor:
    """Convolve x (B, C, T, H, W) with weight (C, 1, t, s, s); the result is channels_last_3d.

    For kernels of one pixel (t x 1 x 1) torch's own forward pass is as fast or faster, so it is used.

    Args:
        strides: (stride_t, stride_s).
    """
    if weight.shape[3] == 1 and strides[1] == 1 and x.dtype == torch.float32 and x.numel():
        source, padding = x.contiguous(memory_format=torch.channels_last_3d), (weight.shape[2] // 2, 0, 0)
        out = torch.conv3d(source, weight, None, (strides[0], 1, 1), padding, 1, x.shape[1])
        return out.contiguous(memory_format=torch.channels_last_3d)
    out = torch.empty(output_shape(x.shape, *strides), dtype=x.dtype, memory_format=torch.channels_last_3d)
    if out.numel():
        correlate("forward", x, weight, out, strides)
    return out


def forward_activated(x: Tensor, weight: Tensor, bias: Tensor | None, strides: Strides, activation: str) -> Tensor:
    """Convolve, add the bias (C,) and apply an activation, in one pass over memory.

    Args:
        strides: (stride_t, stride_s).
        activation: "none", "relu" or "silu".
    """
    out = torch.empty(output_shape(x.shape, *strides), dtype=x.dtype, memory_format=torch.channels_last_3d)
    if out.numel():
        correlate("forward", x, weight, out, strides, bias, activation)
    return out


def input_gradient(grad: Tensor, weight: Tensor, shape: tuple[int, ...], strides: Strides) -> Tensor:
    """The gradient of the convolution's input.

    Args:
        grad: the gradient of the output (B, C, T', H', W').
        weight: (C, 1, t, s, s).
        shape: of the input (B, C, T, H, W).
        strides: (stride_t, stride_s).
    """
    result = torch.empty(shape, dtype=grad.dtype, memory_format=torch.channels_last_3d)
    if result.numel():
        correlate("input_gradient", grad, weight, result, strides)
    return result


def weight_gradient(grad: Tensor, x: Tensor, shape: tuple[int, ...], strides: Strides) -> Tensor:
    """The gradient of the convolution's weight.

    Args:
        grad: the gradient of the output (B, C, T', H', W').
        x: the input (B, C, T, H, W).
        shape: of the weight (C, 1, t, s, s).
        strides: (stride_t, stride_s).
    """
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
