"""The blocks that a group may end with (paper, section 3.4), registered in ATTENTION by the names of a space.

An entry is called with (channels, norm=..., **options) and gives a module from (B, C, T, H, W) to the same shape.
"""

from __future__ import annotations

from collections.abc import Callable

from pytorchvideo.layers.nonlocal_net import create_nonlocal
from torch import nn

from pytorchvideo_autox3d.layers.glore import NODE_RATIO, GloRe
from pytorchvideo_autox3d.registry import ATTENTION_REGISTRY


@ATTENTION_REGISTRY.register(name="none")
def create_pass_through(channels: int, *, norm: Callable[[int], nn.Module] = nn.BatchNorm3d) -> nn.Module:
    """No attention: the map goes through unchanged, without any computation."""
    return nn.Identity()


@ATTENTION_REGISTRY.register(name="glore")
def create_glore(
    channels: int, *, node_ratio: float = NODE_RATIO, norm: Callable[[int], nn.Module] = nn.BatchNorm3d
) -> GloRe:
    """A GloRe block on a map of `channels`."""
    return GloRe(channels, node_ratio=node_ratio, norm=norm)


def nonlocal_width(channels: int) -> int:
    """Inner channels of a Non-local block: half of the map's (Non-local, section 3.3)."""
    return max(1, channels // 2)


@ATTENTION_REGISTRY.register(name="nonlocal")
def create_non_local(channels: int, *, norm: Callable[[int], nn.Module] = nn.BatchNorm3d) -> nn.Module:
    """pytorchvideo's Non-local block (softmax) on a map of `channels`, beginning as identity."""
    block = create_nonlocal(dim_in=channels, dim_inner=nonlocal_width(channels), norm=None)
    block.norm = norm(channels)
    # pytorchvideo's initialisation starts a BN marked so at weight 0 (Non-local, section 4.1).
    block.norm.block_final_bn = True
    return block
