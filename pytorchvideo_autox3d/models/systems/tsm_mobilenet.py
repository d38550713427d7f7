"""TSM on torchvision's MobileNetV2, whose ImageNet weights load."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models import MobileNetV2
from torchvision.models.mobilenetv2 import InvertedResidual

from pytorchvideo_autox3d.models.net import ClipNet, CommonArguments
from pytorchvideo_autox3d.models.systems.common import finish
from pytorchvideo_autox3d.models.systems.inflation import conv_like, inflated, without_weights
from pytorchvideo_autox3d.models.systems.temporal_shift import ShiftConv3d
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


@MODEL_REGISTRY.register(name="TSM_MobileNetV2")
def create_tsm_mobilenet_v2(
    *,
    model_num_class: int = 400,
    input_clip_length: int = 8,
    input_crop_size: int = 224,
    dropout_rate: float = 0.5,
    in_channels: int = 3,
) -> ClipNet:
    """TSM (Lin et al., ICCV 2019) on MobileNetV2: the shift goes before every residual block's expansion.

    Args:
        model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels: see `CommonArguments`.
    Raises:
        ModelError: an argument is out of range; names it.
    """
    arguments = CommonArguments(model_num_class, input_clip_length, input_crop_size, dropout_rate, in_channels)
    with without_weights():
        net = MobileNetV2()
    features: Any = inflated(net.features)
    features[0][0] = conv_like(features[0][0], nn.Conv3d, in_channels=in_channels)
    for block in features:
        if isinstance(block, InvertedResidual) and block.use_res_connect:
            block.conv[0][0] = conv_like(block.conv[0][0], ShiftConv3d)
    return finish(list(features), arguments, num_features=net.last_channel)
