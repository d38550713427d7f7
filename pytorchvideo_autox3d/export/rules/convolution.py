"""A 3-D convolution as 2-D convolutions of frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from pytorchvideo_autox3d.export.frames import Frames
from pytorchvideo_autox3d.export.rules.table import triple


@dataclass(frozen=True)
class Kernel:
    """A kernel t x h x w as 2-D kernels.

    Args:
        slices: t kernels (out, in, h, w).
        column: where h and w are 1 and t is not, the kernel once more as (out, in, t, 1); else None.
    """

    slices: tuple[Tensor, ...]
    column: Tensor | None

    @classmethod
    def of(cls, weight: Tensor) -> Kernel:
        """Take a weight (out, in, t, h, w) apart."""
        size, *space = weight.shape[2:]
        column = weight[..., 0].contiguous() if size > 1 and space == [1, 1] else None
        return cls(tuple(weight[:, :, index].contiguous() for index in range(size)), column)


def conv3d(
    x: Frames, kernel: Kernel, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Frames:
    """A convolution as the sum of 2-D convolutions of shifted frames.

    out[f] = sum over k of conv2d(x[f * stride + k * dilation - padding], kernel[k]), with frames of zeros beyond both
    ends. A kernel without extent in space is one 2-D convolution over an image of time by (clips and pixels).

    Args:
        x: the map.
        kernel: the weight.
        bias: (out,) or None.
        stride, padding, dilation: one number, or three for (t, h, w).
        groups: as in `F.conv3d`.
    """
    (step, *steps), (pad, *pads), (gap, *gaps) = triple(stride), triple(padding), triple(dilation)
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
