"""MobileNetV2-3D, the uniform baseline of the paper's Table 5, from the same block as AutoX3D."""

from __future__ import annotations

from collections import OrderedDict

from pytorchvideo.layers.utils import round_width
from torch import nn

from pytorchvideo_autox3d.layers.mbconv import MBConv3D, pointwise_conv
from pytorchvideo_autox3d.models.autox3d import create_stem
from pytorchvideo_autox3d.models.heads import create_linear_head
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
) -> ClipNet:
    """MobileNetV2 (Sandler et al., CVPR 2018) with every depthwise kernel 3x3^2; ReLU6, no squeeze-excitation.

    As there, the first block (t = 1) has no expanding convolution.
    The paper does not say how its own MobileNetV2-3D (6.5 GFLOPs, 4.4 M) differs from this plain inflation.
    """
    check_positive(
        model_num_class=model_num_class, input_clip_length=input_clip_length, input_crop_size=input_crop_size
    )
    check_dropout(dropout_rate)
    width = round_width(_STEM_CHANNELS, width_factor)
    blocks = [create_stem(3, width, 1, norm=nn.BatchNorm3d, activation=nn.ReLU6)]
    for expansion, base, count, stride in _STAGES:
        channels = round_width(base, width_factor)
        stage = []
        for index in range(count):
            stage.append(
                MBConv3D(
                    width,
                    channels,
                    inner_channels=width * expansion,
                    expand=expansion > 1,
                    stride=stride if index == 0 else 1,
                    se_ratio=0.0,
                    activation=nn.ReLU6,
                    inner_activation=nn.ReLU6,
                )
            )
            width = channels
        blocks.append(nn.Sequential(*stage))
    last = round_width(_LAST_CHANNELS, max(1.0, width_factor))
    layers = [("conv", pointwise_conv(width, last)), ("norm", nn.BatchNorm3d(last)), ("activation", nn.ReLU6())]
    blocks.append(nn.Sequential(OrderedDict(layers)))
    head = create_linear_head(in_channels=last, num_classes=model_num_class, dropout_rate=dropout_rate)
    return ClipNet(
        [*blocks, head],
        num_features=last,
        input_clip_length=input_clip_length,
        input_crop_size=input_crop_size,
    )
