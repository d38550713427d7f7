"""Elastic layers: one set of weights for every width; a call uses the channels of a window.

A window is an argument of the call; no layer remembers which channels were active. Shapes: B clips, C channels, T
frames, H and W pixels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo_autox3d.kernels.batch_norm import NO_EXCITE, activation_name, covered, fused_batch_norm, observed
from pytorchvideo_autox3d.kernels.batch_norm_affine import Excite
from pytorchvideo_autox3d.kernels.depthwise_conv import depthwise_conv3d
from pytorchvideo_autox3d.layers.mbconv import depthwise_conv
from pytorchvideo_autox3d.layers.windows import ChannelWindow, select_channels, slice_channels, write_channels


def weight_of(conv: nn.Conv1d | nn.Conv3d, out_indices: ChannelWindow, in_indices: ChannelWindow) -> torch.Tensor:
    """The convolution's weight for one window of its output channels and one of its input channels."""
    return select_channels(conv.weight, out_indices, in_indices)


class ElasticConv1d(nn.Conv1d):
    """A 1D convolution over a window of its output and a window of its input channels."""

    def forward(  # type: ignore[override]
        self, rows_BCL: torch.Tensor, out_indices: ChannelWindow, in_indices: ChannelWindow
    ) -> torch.Tensor:
        """(B, len(in_indices), L) -> (B, len(out_indices), L)."""
        bias = None if self.bias is None else select_channels(self.bias, out_indices)
        return F.conv1d(rows_BCL, weight_of(self, out_indices, in_indices), bias)


class ElasticConv3d(nn.Conv3d):
    """A pointwise 3D convolution over a window of its output and a window of its input channels."""

    def forward(  # type: ignore[override]
        self, clip_BCTHW: torch.Tensor, out_indices: ChannelWindow, in_indices: ChannelWindow
    ) -> torch.Tensor:
        """(B, len(in_indices), T, H, W) -> (B, len(out_indices), T, H, W)."""
        bias = None if self.bias is None else select_channels(self.bias, out_indices)
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
        return depthwise_conv3d(clip_BCTHW, select_channels(conv.weight, window), None, conv.stride, conv.padding)

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
        # As in `write_channels`: torch keeps its slice for the backward pass, before which other candidates may come.
        mean, variance = (slice_channels(buffer.data, window) for buffer in (self.running_mean, self.running_var))
        affine = select_channels(self.weight, window), select_channels(self.bias, window)
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
