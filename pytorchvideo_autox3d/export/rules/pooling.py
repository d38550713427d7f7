"""What the operators that pool do on maps held as `Frames`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from pytorchvideo_autox3d.export.frames import Frames
from pytorchvideo_autox3d.export.rules.table import NoRule, aten, rule, triple


@rule(aten.mean.dim)
def _mean(operator: Any, x: Frames, dims: Sequence[int], keepdim: bool = False, **kwargs: Any) -> Any:
    if sorted(dim % 5 for dim in dims) != [2, 3, 4] or x.last:
        raise NoRule(f"over dimensions {list(dims)}")
    pooled = x.mean()
    return pooled if keepdim else pooled.data.flatten(1)


@rule(aten.adaptive_avg_pool3d.default)
def _adaptive_pool(operator: Any, x: Frames, size: Sequence[int]) -> Frames:
    frames, height, width = triple(size)
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
    if triple(dilation) != [1, 1, 1]:
        raise NoRule("with dilation")
    return _separable_pool(
        x, kernel, stride, padding, lambda data, size, step, pad: F.max_pool2d(data, size, step, pad, ceil_mode=ceil)
    )


def _separable_pool(x: Frames, kernel: Any, stride: Any, padding: Any, pool: Callable[..., Tensor]) -> Frames:
    """A pool over space, then one over time: a maximum, and an average, may be taken in turn."""
    (size, *sizes), (pad, *pads) = triple(kernel), triple(padding)
    step, *steps = triple(stride or kernel)
    if (sizes, steps, pads) != ([1, 1], [1, 1], [0, 0]):
        x = x.map(lambda data: pool(data, sizes, steps, pads))
    if (size, step, pad) != (1, 1, 0):
        x = x.over_time(lambda image: pool(image, (size, 1), (step, 1), (pad, 0)))
    return x
