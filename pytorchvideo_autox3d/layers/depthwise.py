"""The depthwise convolution under the name that it had here before `kernels` became a package."""

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
