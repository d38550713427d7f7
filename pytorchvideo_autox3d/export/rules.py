"""For each operator of an exported network, what it does on maps held as `Frames`; what isn't here can't be lowered."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pytorchvideo_autox3d.export.frames import Frames, Positions, frames_from_dense

aten = torch.ops.aten


class NoRule(Exception):
    """An operator, or a use of one, that has no form on four dimensions."""


Rule = Callable[..., Any]
RULES: dict[Any, Rule] = {}


def rule(*operators: Any) -> Callable[[Rule], Rule]:
    """Register a function as what these operators do; it is called where an argument is `Frames` or `Positions`."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(operators, function))
        return function

    return register


@dataclass(frozen=True)
class Kernel:
    """A kernel t x h x w as t 2-D kernels; without extent in space also as one column, t x 1."""

    slices: tuple[Tensor, ...]
    column: Tensor | None

    @classmethod
    def of(cls, weight: Tensor) -> Kernel:
        """From a weight (out, in, t, h, w)."""
        size, *space = weight.shape[2:]
        column = weight[..., 0].contiguous() if size > 1 and space == [1, 1] else None
        return cls(tuple(weight[:, :, index].contiguous() for index in range(size)), column)


def conv3d(
    x: Frames, kernel: Kernel, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Frames:
    """A convolution as the sum of 2-D convolutions of shifted frames.

    out[f] = sum over k of conv2d(x[f * stride + k * dilation - padding], kernel[k]), with frames of zeros beyond both
    ends. A kernel without extent in space is one 2-D convolution over time and (clips and) pixels.
    """
    (step, *steps), (pad, *pads), (gap, *gaps) = _triple(stride), _triple(padding), _triple(dilation)
    column = kernel.column
    if column is not None and steps == [1, 1] and pads == [0, 0]:
        return x.over_time(lambda image: F.conv2d(image, column, bias, (step, 1), (pad, 0), (gap, 1), groups))
    size = len(kernel.slices)
    x = x.padded(pad, pad)
    count = (x.frames - gap * (size - 1) - 1) // step + 1
    total: Tensor | None = None
    for index, weight in enumerate(kernel.slices):
        first = index * gap
        shifted = x.select(range(first, first + step * (count - 1) + 1, step)) if size > 1 or step > 1 else x
        part = F.conv2d(shifted.data, weight, bias if index == 0 else None, steps, pads, gaps, groups)
        total = part if total is None else total + part
    assert total is not None
    return Frames(total, count)


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


@rule(aten.mean.dim)
def _mean(operator: Any, x: Frames, dims: Sequence[int], keepdim: bool = False, **kwargs: Any) -> Any:
    if sorted(dim % 5 for dim in dims) != [2, 3, 4] or x.last:
        raise NoRule(f"over dimensions {list(dims)}")
    pooled = x.mean()
    return pooled if keepdim else pooled.data.flatten(1)


@rule(aten.adaptive_avg_pool3d.default)
def _adaptive_pool(operator: Any, x: Frames, size: Sequence[int]) -> Frames:
    frames, height, width = _triple(size)
    if frames not in (1, x.frames):
        raise NoRule(f"of {x.frames} frames to {frames}")
    if (height, width) == (1, 1) and frames == 1:
        return x.mean()
    pooled = x.map(lambda data: F.adaptive_avg_pool2d(data, (height, width)))
    if frames == x.frames:
        return pooled
    return pooled.over_time(lambda image: F.avg_pool2d(image, (x.frames, 1)))


@rule(aten.avg_pool3d.default)
def _average_pool(
    operator: Any, x: Frames, kernel: Any, stride: Any = (), padding: Any = 0, ceil: bool = False,
    count_include_pad: bool = True, divisor: int | None = None,
) -> Frames:  # fmt: skip
    if divisor is not None:
        raise NoRule("with a divisor of its own")
    return _separable_pool(
        x, kernel, stride, padding,
        lambda data, size, step, pad: F.avg_pool2d(data, size, step, pad, ceil, count_include_pad),
    )  # fmt: skip


@rule(aten.max_pool3d.default)
def _max_pool(
    operator: Any, x: Frames, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False
) -> Frames:
    if _triple(dilation) != [1, 1, 1]:
        raise NoRule("with dilation")
    return _separable_pool(
        x, kernel, stride, padding, lambda data, size, step, pad: F.max_pool2d(data, size, step, pad, ceil_mode=ceil)
    )


def _separable_pool(x: Frames, kernel: Any, stride: Any, padding: Any, pool: Callable[..., Tensor]) -> Frames:
    """A pool over space, then one over time: a maximum, and an average, may be taken in turn."""
    (size, *sizes), (pad, *pads) = _triple(kernel), _triple(padding)
    step, *steps = _triple(stride or kernel)
    if (sizes, steps, pads) != ([1, 1], [1, 1], [0, 0]):
        x = x.map(lambda data: pool(data, sizes, steps, pads))
    if (size, step, pad) != (1, 1, 0):
        x = x.over_time(lambda image: pool(image, (size, 1), (step, 1), (pad, 0)))
    return x


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


@rule(aten.flatten.using_ints)
def _flatten(operator: Any, x: Any, start: int = 0, end: int = -1) -> Any:
    if isinstance(x, Frames) and not x.last and end % 5 == 4:
        if start == 1 and x.is_pooled:
            return x.data.flatten(1)
        if start == 2:
            return x.positions()
    raise NoRule(f"from dimension {start} to {end}")


@rule(aten.view.default, aten.reshape.default, aten._unsafe_view.default)
def _view(operator: Any, x: Any, shape: Sequence[int]) -> Any:
    if isinstance(x, Frames) and not x.last:
        batch, channels = x.batch, x.data.shape[1]
        if len(shape) == 2 and x.is_pooled and shape[0] in (batch, -1):
            return x.data.flatten(1)
        if len(shape) == 3 and tuple(shape[:2]) == (batch, channels):
            return x.positions()
        if len(shape) == 5 and tuple(shape) == (batch, channels, 1, 1, 1) and x.is_pooled:
            return x
    if isinstance(x, Positions) and len(shape) == 5:
        return _unflattened(x, shape[2:])
    raise NoRule(f"as {list(shape)}")


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
    """A dense (B, C, L) viewed as (B, C, T, H, W)."""
    if x.dim() == 3 and math.prod(shape[2:]) == x.shape[2]:
        return frames_from_dense(x, list(shape)[2:])
    raise NoRule(f"as {list(shape)}")


def _triple(value: Any) -> list[int]:
    values = [value] * 3 if isinstance(value, int) else list(value)
    return values * 3 if len(values) == 1 else values
