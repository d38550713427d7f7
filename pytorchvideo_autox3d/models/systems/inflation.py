"""2-D networks as networks of clips: the same modules with kernels of 1 x k x k, into which 2-D weights load.

A network of frames then keeps its five dimensions (B, C, T, H, W) throughout, so any number of frames runs, and
temporal operations go where they belong without folding time into the batch.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn


def inflated(module: nn.Module) -> nn.Module:
    """`module` with its 2-D convolutions, normalisations and max pools made 3-D, with kernel 1 over time.

    The modules inside are replaced in place and have fresh weights. Their names stay, so a state dict of the 2-D
    network differs only in the convolutions' extra dimension.
    """
    if isinstance(module, nn.Conv2d):
        return conv_like(module, nn.Conv3d)
    if isinstance(module, nn.BatchNorm2d):
        return nn.BatchNorm3d(module.num_features, eps=module.eps, momentum=module.momentum)
    if isinstance(module, nn.MaxPool2d):
        kernel, stride, padding = (_pair(size) for size in (module.kernel_size, module.stride, module.padding))
        return nn.MaxPool3d((1, *kernel), (1, *stride), (0, *padding))
    for name, child in module.named_children():
        setattr(module, name, inflated(child))
    return module


def conv_like(conv: nn.Conv2d | nn.Conv3d, kind: type[nn.Conv3d], *, in_channels: int | None = None) -> nn.Conv3d:
    """A convolution with the geometry of `conv` and fresh weights.

    Args:
        conv: whose sizes it takes; a 2-D one gives kernel 1, stride 1 and no padding over time.
        kind: the class to make.
        in_channels: another number of input channels; None keeps it.
    """

    def over_time(sizes: tuple[int, ...], time: int) -> Any:
        return sizes if len(sizes) == 3 else (time, *sizes)

    return kind(
        in_channels or conv.in_channels,
        conv.out_channels,
        over_time(conv.kernel_size, 1),
        over_time(conv.stride, 1),
        over_time(cast(tuple[int, ...], conv.padding), 0),
        groups=conv.groups,
        bias=conv.bias is not None,
    )


def without_weights() -> Any:
    """A context in which torchvision's networks are built without memory, to be inflated outside of it."""
    return torch.device("meta")


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
