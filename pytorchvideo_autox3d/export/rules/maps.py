"""What operators do on maps held as `Frames`: values one by one, channels, frames and borders."""

from __future__ import annotations

import operator as operators
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pytorchvideo_autox3d.export.frames import Frames, Positions
from pytorchvideo_autox3d.export.rules.table import NoRule, aten, rule


@rule(
    aten.relu.default, aten.relu_.default, aten.relu6.default, aten.silu.default, aten.silu_.default,
    aten.sigmoid.default, aten.hardtanh.default, aten.hardtanh_.default, aten.gelu.default, aten.hardswish.default,
    aten.hardswish_.default, aten.hardsigmoid.default, aten.leaky_relu.default, aten.tanh.default,
    aten.batch_norm.default,
)  # fmt: skip
def _pointwise(operator: Any, x: Frames, *args: Any) -> Frames:
    if x.last and operator is aten.batch_norm.default:
        raise NoRule("on channels that come last")
    return x.map(lambda data: operator(data, *args))


@rule(aten.dropout.default, aten.dropout_.default, aten.clone.default, aten.contiguous.default, aten.alias.default)
def _identity(operator: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    return x


@rule(aten.add.Tensor, aten.add_.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.mul_.Tensor, aten.div.Tensor)
def _binary(operator: Any, left: Any, right: Any, **kwargs: Any) -> Any:
    if isinstance(left, Frames) and isinstance(right, Frames):
        frames = max(left.frames, right.frames)
        return Frames(operator(left.repeated(frames), right.repeated(frames), **kwargs), frames, left.last)
    if isinstance(left, Frames | Positions) and _is_scalar(right):
        return replace(left, data=operator(left.data, right, **kwargs))
    if isinstance(right, Frames | Positions) and _is_scalar(left):
        return replace(right, data=operator(left, right.data, **kwargs))
    raise NoRule("of these operands")


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, Tensor | Frames | Positions) or (isinstance(value, Tensor) and value.dim() == 0)


@rule(aten.permute.default)
def _permute(operator: Any, x: Any, dims: Sequence[int]) -> Frames:
    order = [dim % 5 for dim in dims]
    if isinstance(x, Frames) and not x.last and order == [0, 2, 3, 4, 1]:
        return Frames(x.data.permute(0, 2, 3, 1), x.frames, last=True)
    if isinstance(x, Frames) and x.last and order == [0, 4, 1, 2, 3]:
        return Frames(x.data.permute(0, 3, 1, 2), x.frames)
    raise NoRule(f"to the order {list(dims)}")


@rule(aten.linear.default)
def _linear(operator: Any, x: Any, weight: Tensor, bias: Tensor | None = None) -> Frames:
    if not isinstance(x, Frames) or not x.last:
        raise NoRule("over a dimension that is not the channels")
    # As a product of two matrices: converters make products of four dimensions of anything else.
    return x.map(
        lambda data: F.linear(data.reshape(-1, data.shape[3]), weight, bias).reshape(*data.shape[:3], weight.shape[0])
    )


@rule(aten.cat.default)
def _cat(operator: Any, maps: Sequence[Any], dim: int = 0) -> Frames:
    if not all(isinstance(one, Frames) and not one.last for one in maps):
        raise NoRule("of maps and tensors")
    if dim % 5 == 1:
        frames = max(one.frames for one in maps)
        return Frames(torch.cat([one.repeated(frames) for one in maps], 1), frames)
    if dim % 5 == 2:
        return Frames(torch.cat([one.data for one in maps]), sum(one.frames for one in maps))
    raise NoRule(f"along dimension {dim}")


@rule(aten.split_with_sizes.default)
def _split(operator: Any, x: Frames, sizes: Sequence[int], dim: int = 0) -> list[Frames]:
    if dim % 5 != 1 or x.last:
        raise NoRule(f"along dimension {dim}")
    return [replace(x, data=part) for part in torch.split(x.data, list(sizes), 1)]


@rule(aten.chunk.default)
def _chunk(operator: Any, x: Frames, chunks: int, dim: int = 0) -> list[Frames]:
    if dim % 5 != 1 or x.last:
        raise NoRule(f"along dimension {dim}")
    return [replace(x, data=part) for part in torch.chunk(x.data, chunks, 1)]


@rule(operators.getitem)
def _part(operator: Any, parts: Sequence[Frames], index: int) -> Frames:
    return parts[index]


@rule(aten.index_select.default)
def _index_select(operator: Any, x: Frames, dim: int, index: Sequence[int]) -> Frames:
    if dim % 5 != 2 or isinstance(index, Tensor):
        raise NoRule(f"along dimension {dim}")
    return x.select(index)


@rule(aten.slice.Tensor)
def _slice(
    operator: Any, x: Frames, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Frames:
    dim %= 5
    if x.last or dim == 0:
        raise NoRule(f"along dimension {dim}")
    if dim == 2:
        return x.select(range(x.frames)[slice(start, end, step)])
    return x.map(lambda data: operator(data, dim if dim == 1 else dim - 1, start, end, step))


@rule(aten.constant_pad_nd.default)
def _pad(operator: Any, x: Frames, pads: Sequence[int], value: float = 0) -> Frames:
    pads = [*pads, *[0] * (10 - len(pads))]
    if value or min(pads) < 0 or any(pads[6:]) or x.last:
        raise NoRule(f"by {list(pads)} of {value}")
    padded = x.map(lambda data: F.pad(data, tuple(pads[:4]))) if any(pads[:4]) else x
    return padded.padded(pads[4], pads[5])


@rule(aten.pad.default)
def _pad_of_mode(
    operator: Any, x: Frames, pads: Sequence[int], mode: str = "constant", value: float | None = None
) -> Frames:
    if mode != "constant":
        raise NoRule(f"of mode {mode!r}")
    return _pad(operator, x, pads, value or 0)
