"""Depthwise 3D convolution on the GPU: Triton kernels for the forward pass and both gradients.

Tensors are dense (B, T, H, W, C): torch's channels_last_3d, so neighbouring threads read neighbouring channels.
Numbers are stored in float32, float16 or bfloat16 and summed in float32. A program covers a block of neighbouring
positions times a block of channels; the taps of a row hit the first-level cache. Block sizes are tuned at the
first call with a shape. With TRITON_INTERPRET=1 the same code runs on the CPU, which is how it is tested.
"""

from __future__ import annotations

import os

import torch
import triton
import triton.language as tl
from torch import Tensor

from pytorchvideo_autox3d.kernels.activations import ACTIVATION_FUNCTIONS
from pytorchvideo_autox3d.kernels.shapes import output_shape

Strides = tuple[int, int]
# The interpreter has nothing to tune and needs no device.
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
_BLOCKS = (
    [(32, 32, 4)] if _INTERPRETED else [(16, 32, 2), (16, 64, 4), (32, 32, 4), (32, 64, 4), (64, 32, 4), (64, 64, 8)]
)
_CONFIGS = [triton.Config({"BLOCK_P": p, "BLOCK_C": c}, num_warps=warps) for p, c, warps in _BLOCKS]
# Output positions of one partial sum of the weight gradient, and the most partial sums.
_POSITIONS_PER_SUM = 4096
_MOST_SUMS = 128


@triton.jit
def _source(position, tap, inputs, SIZE: tl.constexpr, STRIDE: tl.constexpr, FORWARD: tl.constexpr):  # type: ignore[no-untyped-def]
    """The input position that meets an output position at a tap along one axis, and whether there is one."""
    if FORWARD:
        source = position * STRIDE + tap - SIZE // 2
        valid = (source >= 0) & (source < inputs)
    else:
        scaled = position + SIZE // 2 - tap
        source = scaled // STRIDE
        valid = (scaled >= 0) & (scaled % STRIDE == 0) & (source < inputs)
    return source, valid


@triton.autotune(configs=_CONFIGS, key=["rows", "columns", "channels", "SIZE_T", "SIZE", "STRIDE", "FORWARD"])
@triton.jit
def _correlate(  # type: ignore[no-untyped-def]
    x, w, out, positions, frames_in, rows_in, columns_in, frames, rows, columns, channels,
    SIZE_T: tl.constexpr, SIZE: tl.constexpr, STRIDE_T: tl.constexpr, STRIDE: tl.constexpr, FORWARD: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """out[p, c] = the sum over taps of x[source(p, tap), c] * w[tap, c]."""
    p = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    column, line = p % columns, p // columns
    row, line = line % rows, line // rows
    frame, batch = line % frames, line // frames
    inside = c < channels
    total = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    for tap_t in range(SIZE_T):
        t, valid_t = _source(frame, tap_t, frames_in, SIZE_T, STRIDE_T, FORWARD)
        for tap_h in range(SIZE):
            h, valid_h = _source(row, tap_h, rows_in, SIZE, STRIDE, FORWARD)
            for tap_w in tl.static_range(SIZE):
                v, valid_w = _source(column, tap_w, columns_in, SIZE, STRIDE, FORWARD)
                valid = (p < positions) & valid_t & valid_h & valid_w
                place = ((batch * frames_in + t) * rows_in + h) * columns_in + v
                mask = valid[:, None] & inside[None, :]
                value = tl.load(x + place[:, None] * channels + c[None, :], mask=mask, other=0.0)
                tap = (tap_t * SIZE + tap_h) * SIZE + tap_w
                weight = tl.load(w + tap * channels + c, mask=inside, other=0.0)
                total += value.to(tl.float32) * weight.to(tl.float32)[None, :]
    mask = (p < positions)[:, None] & inside[None, :]
    tl.store(out + p[:, None] * channels + c[None, :], total.to(out.dtype.element_ty), mask=mask)


@triton.autotune(configs=_CONFIGS, key=["rows", "columns", "channels", "SIZE_T", "SIZE", "STRIDE"])
@triton.jit
def _weight_gradient(  # type: ignore[no-untyped-def]
    x, grad, sums, positions, per_sum, frames_in, rows_in, columns_in, frames, rows, columns, channels,
    SIZE_T: tl.constexpr, SIZE: tl.constexpr, STRIDE_T: tl.constexpr, STRIDE: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """sums[i, tap, c] = the sum over the i-th part of the output positions, for one kernel row (t, h) a program."""
    part, kernel_row = tl.program_id(0).to(tl.int64), tl.program_id(2)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = c < channels
    tap_t, tap_h = kernel_row // SIZE, kernel_row % SIZE
    end = tl.minimum((part + 1) * per_sum, positions)
    for tap_w in tl.static_range(SIZE):
        total = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
        for start in range(0, per_sum, BLOCK_P):
            p = part * per_sum + start + tl.arange(0, BLOCK_P)
            column, line = p % columns, p // columns
            row, line = line % rows, line // rows
            frame, batch = line % frames, line // frames
            t, valid_t = _source(frame, tap_t, frames_in, SIZE_T, STRIDE_T, True)
            h, valid_h = _source(row, tap_h, rows_in, SIZE, STRIDE, True)
            v, valid_w = _source(column, tap_w, columns_in, SIZE, STRIDE, True)
            valid = (p < end) & valid_t & valid_h & valid_w
            mask = valid[:, None] & inside[None, :]
            place = ((batch * frames_in + t) * rows_in + h) * columns_in + v
            value = tl.load(x + place[:, None] * channels + c[None, :], mask=mask, other=0.0)
            slope = tl.load(grad + p[:, None] * channels + c[None, :], mask=mask, other=0.0)
            total += value.to(tl.float32) * slope.to(tl.float32)
        tap = (part * SIZE_T * SIZE + kernel_row) * SIZE + tap_w
        tl.store(sums + tap * channels + c, tl.sum(total, axis=0), mask=inside)


def _run_correlate(source: Tensor, weight: Tensor, out: Tensor, strides: Strides, is_forward: bool) -> Tensor:
    if out.numel() == 0:
        return out
    source = source.contiguous(memory_format=torch.channels_last_3d)
    packed = weight.squeeze(1).permute(1, 2, 3, 0).contiguous()
    batch, channels, *sizes = out.shape
    positions = batch * sizes[0] * sizes[1] * sizes[2]

    def grid(meta: dict[str, int]) -> tuple[int, int]:
        return triton.cdiv(positions, meta["BLOCK_P"]), triton.cdiv(channels, meta["BLOCK_C"])

    with torch.cuda.device_of(source):
        _correlate[grid](source, packed, out, positions, *source.shape[2:], *sizes, channels,
                         *weight.shape[2:4], *strides, is_forward)  # fmt: skip
    return out


def forward(x: Tensor, weight: Tensor, strides: Strides) -> Tensor:
    """Convolve x (B, C, T, H, W) with weight (C, 1, t, s, s); the result is channels_last_3d.

    Args:
        strides: (stride_t, stride_s).
    """
    shape = output_shape(x.shape, *strides)
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last_3d)
    return _run_correlate(x, weight, out, strides, True)


def forward_activated(x: Tensor, weight: Tensor, bias: Tensor | None, strides: Strides, activation: str) -> Tensor:
    """Convolve, add the bias (C,) and apply an activation; on the GPU these are three passes over memory.

    Args:
        strides: (stride_t, stride_s).
        activation: "none", "relu" or "silu".
    """
    out = forward(x, weight, strides)
    if bias is not None:
        out += bias.view(-1, 1, 1, 1)
    return ACTIVATION_FUNCTIONS[activation](out)


def input_gradient(grad: Tensor, weight: Tensor, shape: tuple[int, ...], strides: Strides) -> Tensor:
    """The gradient of the convolution's input.

    Args:
        grad: the gradient of the output (B, C, T', H', W').
        weight: (C, 1, t, s, s).
        shape: of the input (B, C, T, H, W).
        strides: (stride_t, stride_s).
    """
    out = torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=torch.channels_last_3d)
    return _run_correlate(grad, weight, out, strides, False)


def weight_gradient(grad: Tensor, x: Tensor, shape: tuple[int, ...], strides: Strides) -> Tensor:
    """The gradient of the convolution's weight, the same at every call.

    Args:
        grad: the gradient of the output (B, C, T', H', W').
        x: the input (B, C, T, H, W).
        shape: of the weight (C, 1, t, s, s).
        strides: (stride_t, stride_s).
    """
    if grad.numel() == 0:
        return x.new_zeros(shape)
    batch, channels, *sizes = grad.shape
    size_t, size = shape[2:4]
    positions = batch * sizes[0] * sizes[1] * sizes[2]
    parts = min(_MOST_SUMS, triton.cdiv(positions, _POSITIONS_PER_SUM))
    sums = torch.empty((parts, size_t * size * size, channels), dtype=torch.float32, device=x.device)
    source = x.contiguous(memory_format=torch.channels_last_3d)
    grad = grad.contiguous(memory_format=torch.channels_last_3d)

    def grid(meta: dict[str, int]) -> tuple[int, int, int]:
        return parts, triton.cdiv(channels, meta["BLOCK_C"]), size_t * size

    with torch.cuda.device_of(source):
        _weight_gradient[grid](source, grad, sums, positions, triton.cdiv(positions, parts), *x.shape[2:], *sizes,
                               channels, size_t, size, *strides)  # fmt: skip
    # Added in a fixed order, so that the result is the same every time.
    return sums.sum(0).t().to(x.dtype).contiguous().view(shape)
