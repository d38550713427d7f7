"""R(2+1)D on basic blocks, its two-stream form, and interaction-preserved CSN, on torchvision's video ResNet."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models.video.resnet import BasicBlock, BasicStem, Bottleneck, Conv2Plus1D, R2Plus1dStem, VideoResNet

from pytorchvideo_autox3d.models.net import ClipNet, CommonArguments, check_depth
from pytorchvideo_autox3d.models.systems.common import RGB_CHANNELS, TWO_STREAM_CHANNELS, finish, join_streams
from pytorchvideo_autox3d.models.systems.inflation import conv_like
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

_BASIC_LAYERS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3]}
_BOTTLENECK_LAYERS = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}


class InteractionPreservedConv(nn.Sequential):
    """A 1x1x1 convolution, normalised, and a depthwise 3x3x3, in place of a 3x3x3 convolution (CSN, Figure 2b).

    The arguments are those that torchvision's video ResNet gives to a convolution; `midplanes` is not used.
    """

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv3d(in_planes, out_planes, 1, bias=False),
            nn.BatchNorm3d(out_planes),
            nn.Conv3d(out_planes, out_planes, 3, stride, padding=1, groups=out_planes, bias=False),
        )

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        """The stride (t, h, w) of the shortcut: CSN halves time where it halves space."""
        return stride, stride, stride


class PooledStem(nn.Sequential):
    """3x7x7 convolution and 1x3x3 pool, each of spatial stride 2."""

    def __init__(self) -> None:
        super().__init__(*BasicStem(), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)))


@MODEL_REGISTRY.register(name="R2Plus1D_Basic")
def create_r2plus1d_basic(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 32,
    input_crop_size: int = 112,
    dropout_rate: float = 0.0,
    model_depth: int = 34,
    in_channels: int = 3,
) -> ClipNet:
    """R(2+1)D (Tran et al., CVPR 2018) as its authors have it, on basic blocks; for flow, `in_channels` is 2.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
        model_depth: 18 or 34.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    check_depth(model_depth, _BASIC_LAYERS)
    return finish(
        _stages(in_channels, BasicBlock, Conv2Plus1D, _BASIC_LAYERS[model_depth], R2Plus1dStem),
        arguments,
        num_features=512 * BasicBlock.expansion,
    )


@MODEL_REGISTRY.register(name="R2Plus1D_TwoStream")
def create_r2plus1d_two_stream(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 32,
    input_crop_size: int = 112,
    dropout_rate: float = 0.0,
) -> ClipNet:
    """An R(2+1)D-34 on three colours and one on two flow channels, their logits added; clips (B, 5, T, H, W).

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate: see `CommonArguments`.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, TWO_STREAM_CHANNELS)
    return join_streams(create_r2plus1d_basic, arguments)


@MODEL_REGISTRY.register(name="IP_CSN")
def create_ip_csn(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 8,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
    in_channels: int = 3,
) -> ClipNet:
    """Interaction-preserved channel-separated network (Tran et al., ICCV 2019).

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
        model_depth: 50, 101 or 152.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    check_depth(model_depth, _BOTTLENECK_LAYERS)
    layers = _BOTTLENECK_LAYERS[model_depth]
    return finish(
        _stages(in_channels, Bottleneck, InteractionPreservedConv, layers, PooledStem),
        arguments,
        num_features=512 * Bottleneck.expansion,
    )


def _stages(in_channels: int, block: Any, conv: Any, layers: list[int], stem: Any) -> list[nn.Module]:
    """The stem and the four stages of torchvision's video ResNet; the stem takes `in_channels`."""
    net = VideoResNet(block, [conv] * 4, layers, stem)
    if in_channels != RGB_CHANNELS:
        net.stem[0] = conv_like(net.stem[0], nn.Conv3d, in_channels=in_channels)
    return [net.stem, net.layer1, net.layer2, net.layer3, net.layer4]
