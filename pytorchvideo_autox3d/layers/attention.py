"""The blocks that a group may end with (paper, section 3.4), registered in ATTENTION by the names of a space.

An entry is called with (channels, norm=..., **options) and gives a module from (B, C, T, H, W) to the same shape.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pytorchvideo.layers.nonlocal_net import create_nonlocal
from torch import nn

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.eval_mode import evaluating
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
    """A GloRe block on a map of `channels`; the arguments are those of `GloRe`."""
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


OWN = frozenset(name for name, _ in ATTENTION_REGISTRY)
"""Names of the attentions of this module; any other is a user's."""
_TRIED = (4, 8, 8)  # frames, height and width of the map that a user's attention is tried on


def check_keeps_shape(name: str, block: nn.Module, channels: int, *arguments: object) -> None:
    """Run a user's attention on a small map, so that one that changes the shape fails where it is built.

    Attentions of this module are not tried. One that raises on so small a map passes: it shows where it runs.

    Args:
        name: as registered.
        block: called with the map and `arguments`.
        channels: of the map.
        arguments: what follows the map in the call.
    Raises:
        ModelError: the shape changes; names the attention and both shapes.
    """
    if name in OWN:
        return
    parameter = next(block.parameters(), torch.empty(0))
    map_BCTHW = torch.zeros(1, channels, *_TRIED, device=parameter.device, dtype=parameter.dtype)
    try:
        with evaluating(block), torch.random.fork_rng(devices=[]):
            shape = tuple(block(map_BCTHW, *arguments).shape)
    except Exception:  # it may be made for larger maps: what else is wrong with it shows where it runs
        return
    if shape != tuple(map_BCTHW.shape):
        raise ModelError(
            f"attention {name!r} gives {shape} for a map of {tuple(map_BCTHW.shape)}, expected the same shape"
        )
