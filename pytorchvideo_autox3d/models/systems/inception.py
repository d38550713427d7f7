"""I3D, two-stream I3D and S3D-G: the three-dimensional Inceptions, on torchvision's S3D.

I3D and S3D have the same branches, widths and pools; I3D's convolutions are k x k x k where S3D's are 1 x k x k and
then k x 1 x 1. Shapes: B clips, C channels, T frames, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torchvision.models.video import S3D
from torchvision.models.video.s3d import TemporalSeparableConv
from torchvision.ops.misc import Conv3dNormActivation

from pytorchvideo_autox3d.models.net import ClipNet, CommonArguments
from pytorchvideo_autox3d.models.systems.common import RGB_CHANNELS, TWO_STREAM_CHANNELS, finish, join_streams
from pytorchvideo_autox3d.models.systems.inflation import conv_like
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

_FEATURES = 1024
# Where the stages start in torchvision's list of layers (all but the first begin after a pool), and which layer is the
# pool of 2 x 2 x 2.
STAGE_STARTS = (0, 2, 5, 8, 14, 16)
_LAST_POOL = 13
_NORM = partial(nn.BatchNorm3d, eps=1e-3)


class SelfGating(nn.Module):
    """S3D-G's feature gating: each channel times the sigmoid of a linear layer of all channels' means over T, H, W."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv3d(channels, channels, kernel_size=1)

    def forward(self, map_BCTHW: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> the same shape."""
        mean_BC111 = map_BCTHW.mean(dim=(2, 3, 4), keepdim=True)
        return map_BCTHW * torch.sigmoid(self.fc(mean_BC111))


@MODEL_REGISTRY.register(name="I3D_Inception")
def create_i3d_inception(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 64,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    in_channels: int = 3,
) -> ClipNet:
    """I3D (Carreira and Zisserman, CVPR 2017): Inception with all kernels inflated; for flow, `in_channels` is 2.

    Even-sized inputs are padded alike on both sides, where TensorFlow pads one more at the end; output sizes agree.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    return finish(_stages(in_channels, _full), arguments, num_features=_FEATURES)


@MODEL_REGISTRY.register(name="I3D_TwoStream")
def create_i3d_two_stream(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 64,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
) -> ClipNet:
    """An I3D on three colours and one on two flow channels, their logits added; clips (B, 5, T, H, W).

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate: see `CommonArguments`.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, TWO_STREAM_CHANNELS)
    return join_streams(create_i3d_inception, arguments)


@MODEL_REGISTRY.register(name="S3D_G")
def create_s3d_g(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 64,
    input_crop_size: int = 224,
    dropout_rate: float = 0.2,
    in_channels: int = 3,
) -> ClipNet:
    """S3D-G (Xie et al., ECCV 2018): torchvision's S3D with self-gating after every temporal convolution.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    return finish(_stages(in_channels, _gated), arguments, num_features=_FEATURES)


def _stages(in_channels: int, change: Callable[[TemporalSeparableConv], nn.Module]) -> list[nn.Module]:
    """torchvision's S3D up to its head, in five stages, with each of its separable convolutions changed by `change`."""
    features = S3D(norm_layer=_NORM).features
    if in_channels != RGB_CHANNELS:
        features[0][0][0] = conv_like(features[0][0][0], nn.Conv3d, in_channels=in_channels)
    _change(features, change)
    # Rounded up, as TensorFlow's "same" pools are: no size is too small.
    features[_LAST_POOL].ceil_mode = True
    return [features[start:end] for start, end in pairwise(STAGE_STARTS)]


def _change(module: nn.Module, change: Callable[[TemporalSeparableConv], nn.Module]) -> None:
    for name, child in module.named_children():
        if isinstance(child, TemporalSeparableConv):
            setattr(module, name, change(child))
        else:
            _change(child, change)


def _full(separable: TemporalSeparableConv) -> nn.Module:
    """k x k x k in place of 1 x k x k and k x 1 x 1, with one normalisation and activation in place of two."""
    spatial = separable[0][0]
    return Conv3dNormActivation(
        spatial.in_channels,
        spatial.out_channels,
        kernel_size=spatial.kernel_size[1],
        stride=spatial.stride[1],
        norm_layer=_NORM,
    )


def _gated(separable: TemporalSeparableConv) -> nn.Module:
    return separable.append(SelfGating(separable[0][0].out_channels))
