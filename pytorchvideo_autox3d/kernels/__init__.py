"""Kernels of our own where frameworks are slow: depthwise 3D convolution, and batch norm with what follows it."""

from pytorchvideo_autox3d.kernels.accelerate import accelerate
from pytorchvideo_autox3d.kernels.batch_norm import (
    FusedBatchNormAct3d,
    batch_norm_kernels,
    norm_act,
    set_batch_norm_kernels,
)
from pytorchvideo_autox3d.kernels.depthwise_conv import (
    DepthwiseConv3d,
    depthwise_conv3d,
    depthwise_kernels,
    set_depthwise_kernels,
)
from pytorchvideo_autox3d.kernels.recomputation import recompute_activations, set_recompute_activations

__all__ = [
    "DepthwiseConv3d",
    "FusedBatchNormAct3d",
    "accelerate",
    "batch_norm_kernels",
    "depthwise_conv3d",
    "depthwise_kernels",
    "norm_act",
    "recompute_activations",
    "set_batch_norm_kernels",
    "set_depthwise_kernels",
    "set_recompute_activations",
]
