"""What the operators of attention do: maps flattened to `Positions`, their products, and the way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pytorchvideo_autox3d.export.frames import Frames, Positions, frames_from_dense
from pytorchvideo_autox3d.export.rules.table import NoRule, aten, rule


@rule(aten.flatten.using_ints)
def _flatten(operator: Any, x: Any, start: int = 0, end: int = -1) -> Any:
    if isinstance(x, Frames) and not x.last and end % 5 == 4:
        if start == 1:
            return x.flat()
        if start == 2:
            return x.positions()
    raise NoRule(f"from dimension {start} to {end}")


@rule(aten.view.default, aten.reshape.default, aten._unsafe_view.default)
def _view(operator: Any, x: Any, shape: Sequence[int]) -> Any:
    if isinstance(x, Frames) and not x.last:
        batch, channels = x.batch, x.data.shape[1]
        if len(shape) == 2 and _is_a_clip_a_row(x, shape):
            return x.flat()
        if len(shape) == 3 and tuple(shape[:2]) == (batch, channels):
            return x.positions()
        if len(shape) == 5 and tuple(shape) == (batch, channels, 1, 1, 1) and x.is_pooled:
            return x
    if isinstance(x, Positions) and len(shape) == 5:
        return _unflattened(x, shape[2:])
    raise NoRule(f"as {list(shape)}")


def _is_a_clip_a_row(x: Frames, shape: Sequence[int]) -> bool:
    """Whether (rows, columns), one of them perhaps -1, has as many rows as there are clips."""
    rows, columns = shape
    values = x.data.numel() // x.batch
    return rows == x.batch if columns == -1 else columns == values and rows in (x.batch, -1)


@rule(aten.unflatten.int)
def _unflatten(operator: Any, x: Any, dim: int, sizes: Sequence[int]) -> Frames:
    if isinstance(x, Positions) and dim % 3 == 2:
        return _unflattened(x, sizes)
    raise NoRule(f"dimension {dim} to {list(sizes)}")


def _unflattened(x: Positions, sizes: Sequence[int]) -> Frames:
    if x.transposed or len(sizes) != 3 or sizes[0] != x.frames:
        raise NoRule(f"to {list(sizes)}")
    return x.unflattened(sizes[1], sizes[2])


@rule(aten.transpose.int)
def _transpose(operator: Any, x: Any, dim: int, other: int) -> Positions:
    if isinstance(x, Positions) and sorted((dim % 3, other % 3)) == [1, 2]:
        return Positions(x.data, x.frames, not x.transposed)
    raise NoRule(f"of dimensions {dim} and {other}")


@rule(aten.matmul.default, aten.bmm.default)
def _matmul(operator: Any, left: Any, right: Any) -> Any:
    if isinstance(left, Positions) and isinstance(right, Positions):
        if not left.transposed and right.transposed and left.frames == right.frames:
            return left.matmul_transposed(right)
        return torch.matmul(left.dense(), right.dense())
    if isinstance(right, Positions) and not right.transposed and isinstance(left, Tensor) and left.dim() == 3:
        return right.projected(left)
    if isinstance(left, Positions) and isinstance(right, Tensor):
        return torch.matmul(left.dense(), right)
    raise NoRule("of these operands")


@rule(aten.einsum.default)
def _einsum(operator: Any, equation: str, operands: Sequence[Any], **kwargs: Any) -> Tensor:
    """Non-local's two products; written as matrix products, which every runtime has."""
    left, right = (one.dense() if isinstance(one, Positions) else one for one in operands)
    names = equation.replace(" ", "")
    (first, second), out = names.split("->")[0].split(","), names.split("->")[1]
    shared = set(first) & set(second) - set(out)
    if len(first) != 3 or len(second) != 3 or first[0] != second[0] or len(shared) != 1:
        raise NoRule(f"{equation!r}")
    (inner,) = shared
    left = left if first.index(inner) == 2 else left.transpose(1, 2)
    right = right if second.index(inner) == 1 else right.transpose(1, 2)
    product = torch.matmul(left, right)
    kept = (first + second).replace(inner, "").replace(first[0], "")
    return product if out[1:] == kept else product.transpose(1, 2)


def view_as_map(x: Tensor, shape: Sequence[int]) -> Frames:
    """View a matrix (B, C, L) as a map (B, C, T, H, W).

    Args:
        x: the matrix.
        shape: (B, C, T, H, W).
    Raises:
        NoRule: it is no such view.
    """
    if x.dim() == 3 and math.prod(shape[2:]) == x.shape[2]:
        return frames_from_dense(x, list(shape)[2:])
    raise NoRule(f"as {list(shape)}")
