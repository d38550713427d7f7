"""The depthwise convolution's public names, and `accelerate`, which began with it."""

from pytorchvideo_autox3d.kernels.accelerate import accelerate
from pytorchvideo_autox3d.kernels.depthwise_conv import (
    DepthwiseConv3d,
    depthwise_conv3d,
    depthwise_kernels,
    set_depthwise_kernels,
)

__all__ = [
    "DepthwiseConv3d",
    "accelerate",
    "depthwise_conv3d",
    "depthwise_kernels",
    "set_depthwise_kernels",
]
