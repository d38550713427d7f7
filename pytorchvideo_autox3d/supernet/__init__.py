"""The weight-sharing network: one set of weights for every architecture of a space."""

from pytorchvideo_autox3d.supernet.attention import ELASTIC_ATTENTION_REGISTRY
from pytorchvideo_autox3d.supernet.selection import (
    CHANNEL_SELECTION_REGISTRY,
    channel_windows,
    coverage,
    coverage_table,
)
from pytorchvideo_autox3d.supernet.supernet import Supernet, inherit

__all__ = [
    "CHANNEL_SELECTION_REGISTRY",
    "ELASTIC_ATTENTION_REGISTRY",
    "Supernet",
    "channel_windows",
    "coverage",
    "coverage_table",
    "inherit",
]
