"""Kernels of our own where frameworks are slow: depthwise 3D convolution on CPU and GPU."""

from pytorchvideo_autox3d.kernels.depthwise import (
    DepthwiseConv3d,
    DepthwiseConvAct3d,
    accelerate,
    depthwise_conv3d,
    depthwise_kernels,
    set_depthwise_kernels,
)

__all__ = [
    "DepthwiseConv3d",
    "DepthwiseConvAct3d",
    "accelerate",
    "depthwise_conv3d",
    "depthwise_kernels",
    "set_depthwise_kernels",
]
