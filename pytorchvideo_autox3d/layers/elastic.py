"""Elastic layers: one set of weights for every width; a call uses the channels of a window.

A window is an argument of the call; no layer remembers which channels were active. Shapes: B clips, C channels, T
frames, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo_autox3d.kernels.batch_norm import NO_EXCITE, activation_name, covered, fused_batch_norm, observed
from pytorchvideo_autox3d.kernels.batch_norm_affine import Excite
from pytorchvideo_autox3d.kernels.depthwise_conv import depthwise_conv3d
from pytorchvideo_autox3d.layers.mbconv import depthwise_conv


@dataclass(frozen=True)
class ChannelWindow(Sequence[int]):
    """Neighbouring channels of a super-kernel, seen as a ring on which channel 0 follows the last.

    As a sequence it holds the channels' numbers. A window over the whole ring begins at 0, so that it is a plain slice.

    Args:
        start: the first channel, taken modulo `ring`.
        width: how many channels, from 1 to `ring`.
        ring: channels of the super-kernel.
    """

    start: int
    width: int
    ring: int

    def __post_init__(self) -> None:
        assert 1 <= self.width <= self.ring, f"a window of {self.width} does not fit a ring of {self.ring}"
        object.__setattr__(self, "start", 0 if self.width == self.ring else self.start % self.ring)

    @property
    def wrapped(self) -> int:
        """How many channels lie past the end of the super-kernel, that is, at its beginning; 0 for a plain slice."""
        return max(0, self.start + self.width - self.ring)

    def __len__(self) -> int:
        return self.width

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[int, ...]: ...
    def __getitem__(self, index: int | slice) -> int | tuple[int, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(self.width)))
        return (self.start + range(self.width)[index]) % self.ring


def whole(width: int) -> ChannelWindow:
    """The window over all of `width` channels."""
    return ChannelWindow(0, width, width)


def slice_channels(tensor: torch.Tensor, window: ChannelWindow, dim: int = 0) -> torch.Tensor:
    """The window's channels along `dim`, in the window's order: a view unless the window wraps around.

    Joining two slices rather than gathering by index keeps the backward pass deterministic on every device.
    """
    assert tensor.shape[dim] == window.ring, f"{tuple(tensor.shape)} has no ring of {window.ring} in dimension {dim}"
    if window.width == window.ring:
        return tensor
    rest = window.wrapped
    first = tensor.narrow(dim, window.start, window.width - rest)
    return torch.cat([first, tensor.narrow(dim, 0, rest)], dim) if rest else first


def write_channels(tensor: torch.Tensor, window: ChannelWindow, values: torch.Tensor) -> None:
    """Write `values` to the window's channels along dimension 0, in place: the inverse of `slice_channels`.

    For statistics, not for parameters: autograd is not told, as when batch normalisation itself updates a buffer. In
    training its backward pass uses the batch's statistics, so several forward passes may come before a backward one.
    """
    tensor = tensor.data
    first = window.width - window.wrapped
    tensor[window.start : window.start + first].copy_(values[:first])
    if window.wrapped:
        tensor[: window.wrapped].copy_(values[first:])


def weight_of(conv: nn.Conv1d | nn.Conv3d, out_indices: ChannelWindow, in_indices: ChannelWindow) -> torch.Tensor:
    """The convolution's weight for one window of its output channels and one of its input channels."""
    return slice_channels(slice_channels(conv.weight, out_indices, 0), in_indices, 1)


class ElasticConv1d(nn.Conv1d):
    """A 1D convolution over a window of its output and a window of its input channels."""

    def forward(  # type: ignore[override]
        self, rows_BCL: torch.Tensor, out_indices: ChannelWindow, in_indices: ChannelWindow
    ) -> torch.Tensor:
        """(B, len(in_indices), L) -> (B, len(out_indices), L)."""
        bias = None if self.bias is None else slice_channels(self.bias, out_indices)
        return F.conv1d(rows_BCL, weight_of(self, out_indices, in_indices), bias)


class ElasticConv3d(nn.Conv3d):
    """A pointwise 3D convolution over a window of its output and a window of its input channels."""

    def forward(  # type: ignore[override]
        self, clip_BCTHW: torch.Tensor, out_indices: ChannelWindow, in_indices: ChannelWindow
    ) -> torch.Tensor:
        """(B, len(in_indices), T, H, W) -> (B, len(out_indices), T, H, W)."""
        bias = None if self.bias is None else slice_channels(self.bias, out_indices)
        return F.conv3d(clip_BCTHW, weight_of(self, out_indices, in_indices), bias)


def copy_conv(
    elastic: nn.Conv1d | nn.Conv3d, plain: nn.Module, out_indices: ChannelWindow, in_indices: ChannelWindow
) -> None:
    """Copy the windows' weights and bias to a plain convolution of that size.

    Args:
        elastic: the convolution to copy from.
        plain: the convolution to copy to, of the windows' widths.
        out_indices: the window of the output channels.
        in_indices: the window of the input channels.
    """
    with torch.no_grad():
        plain.weight.copy_(weight_of(elastic, out_indices, in_indices))  # type: ignore[operator]
        if elastic.bias is not None:
            plain.bias.copy_(slice_channels(elastic.bias, out_indices))  # type: ignore[operator]


class ElasticDepthwise3d(nn.Module):
    """A depthwise convolution t x s x s over a window of its channels, with "same" padding; time is never reduced.

    Args:
        channels: channels of the super-kernel.
        kernel: (t, s), odd.
        stride: in height and width.
    """

    def __init__(self, channels: int, kernel: tuple[int, int], *, stride: int = 1) -> None:
        super().__init__()
        t, s = kernel
        # Kept as the plain layer, so that initialisation and weight decay treat it as one.
        self.conv = depthwise_conv(channels, (t, s, s), (1, stride, stride))

    def forward(self, clip_BCTHW: torch.Tensor, window: ChannelWindow) -> torch.Tensor:
        """(B, len(window), T, H, W) -> (B, len(window), T, ceil(H / stride), ceil(W / stride))."""
        conv = self.conv
        assert not isinstance(conv.padding, str)
        return depthwise_conv3d(clip_BCTHW, slice_channels(conv.weight, window), None, conv.stride, conv.padding)

    def copy_to(self, plain: nn.Module, window: ChannelWindow) -> None:
        """Copy the window's weights to a plain depthwise convolution."""
        with torch.no_grad():
            plain.weight.copy_(slice_channels(self.conv.weight, window))  # type: ignore[operator]


class ElasticExcitation(nn.Module):
    """A squeeze-excitation over a window of its channels; `ElasticBatchNorm3d` can fuse it with itself."""

    def parameters_of(self, window: ChannelWindow) -> Excite:
        """Weight and bias of the reducing and of the restoring convolution, for the window's channels."""
        raise NotImplementedError


class ElasticBatchNorm3d(nn.BatchNorm3d):
    """Batch normalisation of a window of its channels.

    In training it normalises by the statistics of the batch, as the plain layer does, and moves the running
    statistics of the window's channels alone. These mix all the networks that trained a channel, so a derived network
    recomputes its own before it is used in evaluation.
    """

    def forward(  # type: ignore[override]
        self,
        clip_BCTHW: torch.Tensor,
        window: ChannelWindow,
        *,
        squeeze_excite: ElasticExcitation | None = None,
        residual_BCTHW: torch.Tensor | None = None,
        activation: nn.Module | None = None,
    ) -> torch.Tensor:
        """activation(squeeze_excite(norm(clip)) + residual); shapes are (B, len(window), T, H, W).

        Args:
            clip_BCTHW: the map.
            window: which channels of the layer the map's channels are.
            squeeze_excite: applied to the normalised map; None for none.
            residual_BCTHW: added before the activation; None for none.
            activation: applied at the end; None for none.
        """
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None, "a cumulative average would weight channels by how often they were used"
        mean, variance = slice_channels(self.running_mean, window), slice_channels(self.running_var, window)
        affine = slice_channels(self.weight, window), slice_channels(self.bias, window)
        statistics: dict[str, Any] = {"training": self.training, "momentum": self.momentum, "eps": self.eps}
        name = activation_name(activation)
        if (
            name is not None
            and covered(clip_BCTHW, residual_BCTHW, batch_statistics=self.training)
            and not observed(activation, squeeze_excite)
        ):
            excite = NO_EXCITE if squeeze_excite is None else squeeze_excite.parameters_of(window)
            out = fused_batch_norm(clip_BCTHW, mean, variance, *affine, **statistics, activation=name,
                                   residual=residual_BCTHW, excite=excite)  # fmt: skip
        else:
            out = F.batch_norm(clip_BCTHW, mean, variance, *affine, **statistics)
            out = out if squeeze_excite is None else squeeze_excite(out, window)
            out = out if residual_BCTHW is None else residual_BCTHW + out
            out = out if activation is None else activation(out)
        if self.training and window.wrapped:  # a slice was updated in place, a joined copy was not
            write_channels(self.running_mean, window, mean)
            write_channels(self.running_var, window, variance)
        return out


def copy_norm(elastic: nn.BatchNorm3d, plain: nn.Module, window: ChannelWindow) -> None:
    """Copy the window's affine parameters and running statistics to a plain batch normalisation of that width."""
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(plain, name).copy_(slice_channels(getattr(elastic, name), window))
