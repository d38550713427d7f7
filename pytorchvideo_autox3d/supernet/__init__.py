"""The weight-sharing network: one set of weights for every architecture of a space."""

from pytorchvideo_autox3d.supernet.attention import ElasticAttention
from pytorchvideo_autox3d.supernet.selection import (
    channel_windows,
)
from pytorchvideo_autox3d.supernet.shared_maps import SharedMaps
from pytorchvideo_autox3d.supernet.supernet import Supernet, inherit

__all__ = [
    "ElasticAttention",
    "SharedMaps",
    "Supernet",
    "channel_windows",
    "inherit",
]
