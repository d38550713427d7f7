"""Triton code for the passes of batch normalisation with an activation; called by `batch_norm_triton.py`.

Each program works on positions of one clip times a block of channels of dense (B, P, C) maps (P = frames times rows
times columns). With h = grad brought back through the activation at z = (x - mean) * factor + offset + residual:

    statistics   the sums of x - s and (x - s)^2 over a part of a clip, and s, the part's first position
    apply        out = activation(z)
    reduce       the sums of h and h * (x - mean) over a part of a clip
    gradient     dx = h * factor + (x - mean) * x_factor + constant, and h where the residual needs it

The coefficients are rows of C float32 numbers: mean, factor, offset, x_factor, constant.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _places(parts, positions, per_part, step, channels, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr):  # type: ignore[no-untyped-def]
    """The offsets of a program's numbers, which of them exist, its channels and its clip."""
    clip, part = tl.program_id(0).to(tl.int64) // parts, tl.program_id(0) % parts
    within = step + tl.arange(0, BLOCK_P)
    p = part * per_part + within
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    mask = ((p < positions) & (within < per_part))[:, None] & (c < channels)[None, :]
    return (clip * positions + p)[:, None] * channels + c[None, :], mask, c, clip


@triton.jit
def statistics_kernel(  # type: ignore[no-untyped-def]
    x, sums, parts, positions, per_part, channels, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr
):
    """Row i of `sums` (3, B * parts, C): the sums of x - s and (x - s)^2 over the i-th part, and s, its first position.

    No number of a part is far from s, so that a large mean costs no digits.
    """
    start_place, start_mask, c, _clip = _places(parts, positions, per_part, 0, channels, 1, BLOCK_C)
    start = tl.load(x + start_place, mask=start_mask, other=0.0).to(tl.float32)
    total = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    squares = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    for step in range(0, per_part, BLOCK_P):
        place, mask, _c, _clip = _places(parts, positions, per_part, step, channels, BLOCK_P, BLOCK_C)
        moved = tl.where(mask, tl.load(x + place, mask=mask, other=0.0).to(tl.float32) - start, 0.0)
        total += moved
        squares += moved * moved
    row = sums + tl.program_id(0).to(tl.int64) * channels + c
    rows = tl.num_programs(0).to(tl.int64) * channels
    tl.store(row, tl.sum(total, axis=0), mask=c < channels)
    tl.store(row + rows, tl.sum(squares, axis=0), mask=c < channels)
    tl.store(row + 2 * rows, tl.sum(start, axis=0), mask=c < channels)


@triton.jit
def _row(rows, stride, clip, number, c, channels):  # type: ignore[no-untyped-def]
    """Coefficient `number` of a clip's channels, as a row to broadcast over positions."""
    return tl.load(rows + clip * stride + number * channels + c, mask=c < channels, other=0.0)[None, :]


@triton.jit
def _before(x, residual, rows, stride, place, mask, c, clip, channels, HAS_RESIDUAL: tl.constexpr):  # type: ignore[no-untyped-def]
    """x - mean, and the activation's input z = (x - mean) * factor + offset + residual."""
    moved = tl.load(x + place, mask=mask, other=0.0).to(tl.float32) - _row(rows, stride, clip, 0, c, channels)
    z = moved * _row(rows, stride, clip, 1, c, channels) + _row(rows, stride, clip, 2, c, channels)
    if HAS_RESIDUAL:
        z += tl.load(residual + place, mask=mask, other=0.0).to(tl.float32)
    return moved, z


@triton.jit
def _through(z, grad, ACTIVATION: tl.constexpr):  # type: ignore[no-untyped-def]
    """Bring the gradient of the output back through the activation at z."""
    if ACTIVATION == "relu":
        grad = tl.where(z <= 0, 0.0, grad)
    if ACTIVATION == "silu":
        share = tl.sigmoid(z)
        grad = grad * share * (1 + z * (1 - share))
    return grad


@triton.jit
def apply_kernel(  # type: ignore[no-untyped-def]
    x, residual, out, rows, stride, parts, positions, channels,
    HAS_RESIDUAL: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """out = activation(z)."""
    place, mask, c, clip = _places(parts, positions, BLOCK_P, 0, channels, BLOCK_P, BLOCK_C)
    _moved, z = _before(x, residual, rows, stride, place, mask, c, clip, channels, HAS_RESIDUAL)
    if ACTIVATION == "relu":
        z = tl.where(z < 0, 0.0, z)  # NaN stays NaN
    if ACTIVATION == "silu":
        z = z * tl.sigmoid(z)
    tl.store(out + place, z.to(out.dtype.element_ty), mask=mask)


@triton.jit
def reduce_kernel(  # type: ignore[no-untyped-def]
    x, grad, residual, rows, stride, sums, parts, positions, per_part, channels,
    HAS_RESIDUAL: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Row i of `sums` (2, B * parts, C): the sums of h and of h * (x - mean) over the i-th part."""
    total = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    products = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    for step in range(0, per_part, BLOCK_P):
        place, mask, c, clip = _places(parts, positions, per_part, step, channels, BLOCK_P, BLOCK_C)
        moved, z = _before(x, residual, rows, stride, place, mask, c, clip, channels, HAS_RESIDUAL)
        h = _through(z, tl.load(grad + place, mask=mask, other=0.0).to(tl.float32), ACTIVATION)
        total += tl.where(mask, h, 0.0)
        products += tl.where(mask, h * moved, 0.0)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    row = sums + tl.program_id(0).to(tl.int64) * channels + channel
    tl.store(row, tl.sum(total, axis=0), mask=channel < channels)
    row += tl.num_programs(0).to(tl.int64) * channels
    tl.store(row, tl.sum(products, axis=0), mask=channel < channels)


@triton.jit
def gradient_kernel(  # type: ignore[no-untyped-def]
    x, grad, residual, out, out2, rows, stride, parts, positions, channels,
    HAS_RESIDUAL: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """out = h * factor + (x - mean) * x_factor + constant; out2 = h where there is a residual."""
    place, mask, c, clip = _places(parts, positions, BLOCK_P, 0, channels, BLOCK_P, BLOCK_C)
    moved, z = _before(x, residual, rows, stride, place, mask, c, clip, channels, HAS_RESIDUAL)
    h = _through(z, tl.load(grad + place, mask=mask, other=0.0).to(tl.float32), ACTIVATION)
    if HAS_RESIDUAL:
        tl.store(out2 + place, h.to(out2.dtype.element_ty), mask=mask)
    dx = h * _row(rows, stride, clip, 1, c, channels) + _row(rows, stride, clip, 4, c, channels)
    dx += moved * _row(rows, stride, clip, 3, c, channels)
    tl.store(out + place, dx.to(out.dtype.element_ty), mask=mask)
