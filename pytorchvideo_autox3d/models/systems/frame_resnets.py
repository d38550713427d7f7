"""ResNets of frames with an operation over time in their blocks: TSM, STM, GST, SmallBigNet, on torchvision's ResNet.

They take one frame from each of T equal segments of a video (AUTOX3D.FRAME_SAMPLING "segments"), and average the
frames' scores, which here is the average over time before the linear layer. torchvision's ImageNet weights load.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models.net import ClipNet, CommonArguments, check_depth
from pytorchvideo_autox3d.models.systems.common import finish
from pytorchvideo_autox3d.models.systems.frame_blocks import (
    ChannelwiseMotionConv,
    GroupedSpatioTemporalConv,
    SmallBigConv,
)
from pytorchvideo_autox3d.models.systems.inflation import conv_like, inflated, without_weights
from pytorchvideo_autox3d.models.systems.temporal_shift import ShiftConv3d
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

_LAYERS = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3]}

Change = Callable[[Any], None]  # changes a Bottleneck in place; Any, as torchvision types its convolutions as 2-D


@MODEL_REGISTRY.register(name="TSM_ResNet")
def create_tsm_resnet(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 8,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
    in_channels: int = 3,
) -> ClipNet:
    """TSM (Lin et al., ICCV 2019): the shift goes before the first convolution of every block.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
        model_depth: 50 or 101.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    return _frame_resnet(arguments, model_depth, _shift)


@MODEL_REGISTRY.register(name="STM_ResNet")
def create_stm(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 8,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
    in_channels: int = 3,
) -> ClipNet:
    """STM (Jiang et al., ICCV 2019): spatiotemporal and motion features in place of every 3x3 convolution.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
        model_depth: 50 or 101.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    return _frame_resnet(arguments, model_depth, _encode_motion)


@MODEL_REGISTRY.register(name="GST_ResNet")
def create_gst(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 8,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
    in_channels: int = 3,
    alpha: int = 4,
    beta: int = 2,
) -> ClipNet:
    """GST (Luo and Yuille, ICCV 2019): every 3x3 convolution split into a spatial and a spatiotemporal one.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
        model_depth: 50 or 101.
        alpha: one in `alpha` output channels is spatiotemporal; 2, 4 or 8.
        beta: 2 gives each of the two half of the input's channels, 1 gives both all of them.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    if alpha not in (2, 4, 8) or beta not in (1, 2):
        raise ModelError(f"alpha {alpha!r}, beta {beta!r}: expected alpha 2, 4 or 8 and beta 1 or 2")
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    return _frame_resnet(arguments, model_depth, partial(_group, alpha=alpha, beta=beta))


@MODEL_REGISTRY.register(name="SmallBigNet")
def create_smallbignet(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 8,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    model_depth: int = 50,
    in_channels: int = 3,
    units: int = 2,
) -> ClipNet:
    """SmallBigNet (Li et al., CVPR 2020): convolutions applied to the map and, with the same weights, to its max pool.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
        model_depth: 50 or 101.
        units: how many convolutions of every block, from the first on, are such: 1, 2 or 3. With 3 the multiply-adds
            are those published for Kinetics, with 2 those for Something-Something.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    if units not in (1, 2, 3):
        raise ModelError(f"units is {units!r}, expected 1, 2 or 3")
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    return _frame_resnet(arguments, model_depth, partial(_see_big, units=units))


def _frame_resnet(arguments: CommonArguments, model_depth: int, change: Change) -> ClipNet:
    """torchvision's ResNet over clips, with each of its blocks changed by `change`."""
    check_depth(model_depth, _LAYERS)
    with without_weights():
        net = ResNet(Bottleneck, _LAYERS[model_depth])
    stem = OrderedDict(conv1=net.conv1, bn1=net.bn1, relu=net.relu, maxpool=net.maxpool)
    stages = [nn.Sequential(stem), net.layer1, net.layer2, net.layer3, net.layer4]
    clip_stages = [inflated(stage) for stage in stages]
    clip_stages[0].conv1 = conv_like(net.conv1, nn.Conv3d, in_channels=arguments.in_channels)
    for stage in clip_stages[1:]:
        for block in stage.children():
            assert isinstance(block, Bottleneck)
            change(block)
    return finish(clip_stages, arguments, num_features=512 * Bottleneck.expansion)


def _shift(block: Any) -> None:
    block.conv1 = conv_like(block.conv1, ShiftConv3d)


def _encode_motion(block: Any) -> None:
    block.conv2 = ChannelwiseMotionConv(block.conv2)


def _group(block: Any, *, alpha: int, beta: int) -> None:
    block.conv2 = GroupedSpatioTemporalConv(block.conv2.in_channels, block.conv2.stride[-1], alpha=alpha, beta=beta)


def _see_big(block: Any, *, units: int) -> None:
    # The stride is the first convolution's, as in the first ResNet: so the multiply-adds are those published.
    stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    block.conv1.stride = stride
    for number in range(1, units + 1):
        conv, norm = getattr(block, f"conv{number}"), getattr(block, f"bn{number}")
        setattr(block, f"conv{number}", SmallBigConv(conv, norm))
        setattr(block, f"bn{number}", nn.Identity())
