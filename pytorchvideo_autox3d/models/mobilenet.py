"""MobileNetV2-3D, the uniform baseline of the paper's Table 5, from the same block as AutoX3D."""

from __future__ import annotations

from collections import OrderedDict

from pytorchvideo.layers.utils import round_width
from torch import nn

from pytorchvideo_autox3d.layers.mbconv import SE_RATIO, MBConv3D, pointwise_conv
from pytorchvideo_autox3d.models.autox3d import create_stem
from pytorchvideo_autox3d.models.heads import create_linear_head, create_projected_head
from pytorchvideo_autox3d.models.net import ClipNet, check_dropout, check_positive
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

# Expansion, channels, blocks, stride of the first block (MobileNetV2, Table 2).
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_CHANNELS, _LAST_CHANNELS = 32, 1280


@MODEL_REGISTRY.register(name="MobileNetV2_3D")
def create_mobilenet_v2_3d(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 16,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    width_factor: float = 1.0,
    stem_channels: int = _STEM_CHANNELS,
    se_ratio: float = 0.0,
    projected_head: bool = False,
) -> ClipNet:
    """MobileNetV2 (Sandler et al., CVPR 2018) with every depthwise kernel 3x3^2; ReLU6, no squeeze-excitation.

    As there, the first block (t = 1) has no expanding convolution.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate: see `CommonArguments`.
        width_factor: multiplies all channels.
        stem_channels: channels of the stem, before `width_factor`.
        se_ratio: squeeze-excitation of every block; 0 leaves it out.
        projected_head: X3D's head (432 channels, pool, 2048) in place of 1280 channels and a linear layer.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    check_positive(
        model_num_class=model_num_class,
        input_clip_length=input_clip_length,
        input_crop_size=input_crop_size,
        stem_channels=stem_channels,
    )
    check_dropout(dropout_rate)
    width = round_width(stem_channels, width_factor)
    blocks = [create_stem(3, width, 1, norm=nn.BatchNorm3d, activation=nn.ReLU6)]
    for expansion, base, count, stride in _STAGES:
        channels = round_width(base, width_factor)
        blocks.append(_stage(width, channels, count, stride=stride, expansion=expansion, se_ratio=se_ratio))
        width = channels
    if projected_head:
        head = create_projected_head(in_channels=width, num_classes=model_num_class, dropout_rate=dropout_rate)
    else:
        last = round_width(_LAST_CHANNELS, max(1.0, width_factor))
        layers = [("conv", pointwise_conv(width, last)), ("norm", nn.BatchNorm3d(last)), ("activation", nn.ReLU6())]
        blocks.append(nn.Sequential(OrderedDict(layers)))
        width = last
        head = create_linear_head(in_channels=width, num_classes=model_num_class, dropout_rate=dropout_rate)
    return ClipNet(
        [*blocks, head],
        num_features=width,
        input_clip_length=input_clip_length,
        input_crop_size=input_crop_size,
    )


@MODEL_REGISTRY.register(name="MobileNetV2_3D_Fitted")
def create_mobilenet_v2_3d_fitted(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 16,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
) -> ClipNet:
    """The MobileNetV2-3D that has the figures of the paper's Table 5, 6.5 GFLOPs at 16 x 256^2 and 4.4 M.

    The paper does not describe its own. `projects/autox3d/fit_mobilenet.py` counts 1728 variants, of which three have
    both figures; this is the one of them that is nearest to MobileNetV2.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate: see `CommonArguments`.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    return create_mobilenet_v2_3d(
        model_num_class=model_num_class,
        input_clip_length=input_clip_length,
        input_crop_size=input_crop_size,
        dropout_rate=dropout_rate,
        stem_channels=16,
        se_ratio=SE_RATIO,
        projected_head=True,
    )


def _stage(
    in_channels: int, channels: int, count: int, *, stride: int, expansion: int, se_ratio: float
) -> nn.Sequential:
    """`count` blocks, the first of them with the stride."""
    stage = []
    for index in range(count):
        stage.append(
            MBConv3D(
                in_channels,
                channels,
                inner_channels=in_channels * expansion,
                expand=expansion > 1,
                stride=stride if index == 0 else 1,
                se_ratio=se_ratio,
                activation=nn.ReLU6,
                inner_activation=nn.ReLU6,
            )
        )
        in_channels = channels
    return nn.Sequential(*stage)
