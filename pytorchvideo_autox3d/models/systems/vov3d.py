"""VoV3D (Lee et al., 2020): temporal one-shot aggregation over depthwise (2+1)D bottlenecks; a reconstruction.

The article defines the module and the factorisation. The widths and the head are ours, chosen so that multiply-adds
and parameters are the published ones, as the authors' code is not free to be looked at.
Shapes: B clips, C channels, T frames, H and W pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from pytorchvideo_autox3d.layers.mbconv import depthwise_conv, pointwise_conv
from pytorchvideo_autox3d.models.heads import create_projected_head
from pytorchvideo_autox3d.models.net import ClipNet, CommonArguments
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

# Bottlenecks of a T-OSA module, as the layers of VoVNet's.
_LAYERS = 5


@dataclass(frozen=True)
class VoV3DPlan:
    """Widths and depths of a VoV3D.

    Args:
        stem: channels after the stem.
        inner: channels of each stage's bottlenecks.
        outer: channels of each stage's output.
        modules: T-OSA modules of each stage.
        expansion: width of the bottlenecks' depthwise convolutions over `inner`.
        head: channels of the convolution before the pool.
    """

    stem: int
    inner: tuple[int, int, int, int]
    outer: tuple[int, int, int, int]
    modules: tuple[int, int, int, int]
    expansion: float
    head: int


class D2Plus1DBottleneck(nn.Sequential):
    """1x1x1 to `width`, depthwise 1x3x3, depthwise 3x1x1, 1x1x1 to `out_channels`; the last without activation."""

    def __init__(self, in_channels: int, out_channels: int, width: int, stride: int) -> None:
        super().__init__(
            OrderedDict(
                expand=pointwise_conv(in_channels, width),
                expand_norm=nn.BatchNorm3d(width),
                expand_activation=nn.ReLU(),
                spatial=depthwise_conv(width, (1, 3, 3), (1, stride, stride)),
                spatial_norm=nn.BatchNorm3d(width),
                spatial_activation=nn.ReLU(),
                temporal=depthwise_conv(width, (3, 1, 1), (1, 1, 1)),
                temporal_norm=nn.BatchNorm3d(width),
                temporal_activation=nn.ReLU(),
                project=pointwise_conv(width, out_channels),
                project_norm=nn.BatchNorm3d(out_channels),
            )
        )


class TOSA(nn.Module):
    """Temporal one-shot aggregation: bottlenecks one after another, all outputs joined at once by 1x1x1.

    ::

        map -> bottleneck 1 -> bottleneck 2 -> ... -> bottleneck 5
                    |               |                      |
                    +---------------+--- joined along C ---+-> 1x1x1 -> norm -> ReLU ->

    Each further bottleneck sees two more frames, so the joined channels have seen 3 to 11 of them.

    Args:
        in_channels: channels of the input.
        inner: channels of each bottleneck's output.
        outer: channels of the output.
        expansion: width of the bottlenecks' depthwise convolutions over `inner`.
        stride: in height and width, of the first bottleneck.
    """

    def __init__(self, in_channels: int, inner: int, outer: int, *, expansion: float, stride: int) -> None:
        super().__init__()
        width = round(inner * expansion)
        self.layers = nn.ModuleList(
            D2Plus1DBottleneck(inner if number else in_channels, inner, width, 1 if number else stride)
            for number in range(_LAYERS)
        )
        self.join = nn.Sequential(pointwise_conv(_LAYERS * inner, outer), nn.BatchNorm3d(outer), nn.ReLU())
        self.residual = in_channels == outer and stride == 1

    def forward(self, map_BCTHW: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, outer, T, H', W')."""
        outputs, last = [], map_BCTHW
        for layer in self.layers:
            last = layer(last)
            outputs.append(last)
        joined_BCTHW: torch.Tensor = self.join(torch.cat(outputs, dim=1))
        return joined_BCTHW + map_BCTHW if self.residual else joined_BCTHW


def create_vov3d(plan: VoV3DPlan, arguments: CommonArguments) -> ClipNet:
    """The network of a plan, with X3D's stem (a spatial and a temporal convolution) and X3D's head."""
    stem = OrderedDict(
        spatial=nn.Conv3d(arguments.in_channels, plan.stem, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
        temporal=depthwise_conv(plan.stem, (5, 1, 1), (1, 1, 1)),
        norm=nn.BatchNorm3d(plan.stem),
        activation=nn.ReLU(),
    )
    stages: list[nn.Module] = [nn.Sequential(stem)]
    width = plan.stem
    for inner, outer, count in zip(plan.inner, plan.outer, plan.modules, strict=True):
        modules = []
        for number in range(count):
            stride = 1 if number else 2
            modules.append(TOSA(width, inner, outer, expansion=plan.expansion, stride=stride))
            width = outer
        stages.append(nn.Sequential(*modules))
    head = create_projected_head(
        in_channels=width,
        num_classes=arguments.model_num_class,
        channels=plan.head,
        dropout_rate=arguments.dropout_rate,
    )
    return ClipNet(
        [*stages, head],
        num_features=width,
        input_clip_length=arguments.input_clip_length,
        input_crop_size=arguments.input_crop_size,
        in_channels=arguments.in_channels,
    )


# Within 1.6% of the 4.4 GFLOPs and 3.8 M of the paper's Table 5, and of the 9.3 GFLOPs and 6.2 M.
_M = VoV3DPlan(24, (24, 48, 96, 192), (28, 56, 112, 224), (1, 1, 2, 2), 1.5, 432)
_L = VoV3DPlan(24, (28, 56, 112, 224), (32, 64, 128, 256), (1, 2, 4, 3), 1.5, 432)


@MODEL_REGISTRY.register(name="VoV3D_M")
def create_vov3d_m(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 16,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    in_channels: int = 3,
) -> ClipNet:
    """VoV3D-M, reconstructed.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    return create_vov3d(_M, arguments)


@MODEL_REGISTRY.register(name="VoV3D_L")
def create_vov3d_l(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 16,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    in_channels: int = 3,
) -> ClipNet:
    """VoV3D-L, reconstructed.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    return create_vov3d(_L, arguments)
