"""Building blocks with plain arguments; they know neither configs nor architectures."""

from pytorchvideo_autox3d.layers.attention import create_glore, create_non_local, create_pass_through
from pytorchvideo_autox3d.layers.glore import GloRe
from pytorchvideo_autox3d.layers.mbconv import MBConv3D

__all__ = ["GloRe", "MBConv3D", "create_glore", "create_non_local", "create_pass_through"]
