"""MBConv3D, the building block of AutoX3D (paper, section 3.1), and the one place that makes its depthwise conv.

Shapes: B clips, C channels, T frames, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from fvcore.nn.squeeze_excitation import SqueezeExcitation
from pytorchvideo.layers.utils import round_width
from torch import nn

from pytorchvideo_autox3d.kernels.batch_norm import norm_act
from pytorchvideo_autox3d.kernels.depthwise_conv import DepthwiseConv3d
from pytorchvideo_autox3d.kernels.recomputation import call_without_keeping

# X3D's ratio (X3D, section 3.1); its reduced width is rounded to a multiple of 8, at least 8.
SE_RATIO = 0.0625


def depthwise_conv(channels: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> nn.Conv3d:
    """The depthwise convolution of every block and stem: `channels` filters of t x h x w, "same" padding, no bias."""
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return DepthwiseConv3d(channels, channels, kernel, stride, padding, groups=channels, bias=False)


def pointwise_conv(in_channels: int, out_channels: int) -> nn.Conv3d:
    """A 1x1x1 convolution without bias; a normalisation follows it."""
    return nn.Conv3d(in_channels, out_channels, kernel_size=1, bias=False)


def squeeze_excitation(channels: int, se_ratio: float = SE_RATIO) -> SqueezeExcitation:
    """Squeeze-excitation over all positions; channels * se_ratio, rounded as X3D does, is its reduced width."""
    return SqueezeExcitation(channels, num_channels_reduced=round_width(channels, se_ratio), is_3d=True)


class MBConv3D(nn.Module):
    """The 3D mobile inverted bottleneck: expand, depthwise t x s^2, project, with a residual where shapes agree.

    ::

        clip -> expand 1x1x1 -> BN -> act -> depthwise t x s^2 -> BN -> [SE] -> inner act -> project 1x1x1 -> BN
          |                                                                                                 |
          +------------------------ identity, if stride is 1 and the widths agree ----------------------- (+) ->

    Activations follow X3D (ReLU, then Swish after the squeeze-excitation); the output is linear, as MobileNetV2's.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        inner_channels: channels of the depthwise convolution (expansion times `in_channels`).
        expand: False leaves out the expansion with its normalisation and activation, as MobileNetV2's blocks of t = 1
            do; the depthwise convolution then reads the input, and `inner_channels` is `in_channels`.
        kernel: (t, s), odd; the depthwise kernel is t x s x s.
        stride: spatial stride; time is never reduced.
        se_ratio: squeeze-excitation width over `inner_channels`; 0 leaves it out.
        norm: makes a normalisation from a number of channels.
        activation: makes the activation after the expansion.
        inner_activation: makes the activation after the depthwise convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        inner_channels: int,
        expand: bool = True,
        kernel: tuple[int, int] = (3, 3),
        stride: int = 1,
        se_ratio: float = SE_RATIO,
        norm: Callable[[int], nn.Module] = nn.BatchNorm3d,
        activation: Callable[[], nn.Module] = nn.ReLU,
        inner_activation: Callable[[], nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__()
        assert expand or inner_channels == in_channels, f"{inner_channels} channels of {in_channels} without expansion"
        t, s = kernel
        self.expand = pointwise_conv(in_channels, inner_channels) if expand else nn.Identity()
        self.expand_norm = norm(inner_channels) if expand else nn.Identity()
        self.activation = activation() if expand else nn.Identity()
        self.depthwise = depthwise_conv(inner_channels, (t, s, s), (1, stride, stride))
        self.depthwise_norm = norm(inner_channels)
        self.squeeze_excite = squeeze_excitation(inner_channels, se_ratio) if se_ratio > 0 else nn.Identity()
        self.inner_activation = inner_activation()
        self.project = pointwise_conv(inner_channels, out_channels)
        self.project_norm = norm(out_channels)
        self.has_residual = stride == 1 and in_channels == out_channels
        # pytorchvideo's initialisation starts a BN marked so at weight 0: a residual block then begins as identity.
        self.project_norm.block_final_bn = self.has_residual  # type: ignore[assignment]

    def forward(self, clip_BCTHW: torch.Tensor) -> torch.Tensor:
        """(B, in, T, H, W) -> (B, out, T, ceil(H / stride), ceil(W / stride))."""
        inner = norm_act(self.expand_norm, self.activation, self.expand(clip_BCTHW))
        inner = norm_act(
            self.depthwise_norm,
            self.inner_activation,
            call_without_keeping(self.depthwise, inner),
            squeeze_excite=self.squeeze_excite,
        )
        residual = clip_BCTHW if self.has_residual else None
        return norm_act(self.project_norm, None, call_without_keeping(self.project, inner), residual=residual)
