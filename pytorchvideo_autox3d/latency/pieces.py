"""The pieces that are measured of a space: each stem, layer of a block, attention and head that its networks can have.

A block is three pieces: expansion, depthwise convolution (with its squeeze-excitation) and projection. Equal pieces
are measured once: the 17,598 blocks of Table 2's space have 3,546 pieces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import simplejson
import torch
from torch import nn

from pytorchvideo_autox3d.layers.mbconv import SE_RATIO, MBConv3D
from pytorchvideo_autox3d.models import create_autox3d
from pytorchvideo_autox3d.models.autox3d import create_stem
from pytorchvideo_autox3d.models.heads import create_projected_head
from pytorchvideo_autox3d.registry import ATTENTION_REGISTRY
from pytorchvideo_autox3d.space import STEM_STRIDE, Architecture, BlockPlan, SearchSpace, block_plan, inner_width

Shape = tuple[int, int, int, int]
"""(C, T, H, W)."""


@dataclass(frozen=True)
class Piece:
    """A part of a network, or a whole one, to be timed on maps (C, T, H, W).

    Attributes:
        key: says all that its time depends on; equal parts of different groups have equal keys.
        shape: of one map that it takes.
        build: makes it, with fresh weights.
        out: shape of the map that it gives; None for logits.
        first: whether it takes the network's clip.
    """

    key: str
    shape: Shape
    build: Callable[[], nn.Module]
    out: Shape | None = None
    first: bool = False


@dataclass(frozen=True)
class Grid:
    """The sizes of the maps within a space's networks, and the pieces that work on them.

    Attributes:
        space: the networks.
        clip: (T, S, S) of their clips.
    """

    space: SearchSpace
    clip: tuple[int, int, int]

    def groups(self) -> Iterator[tuple[int, tuple[int, ...], int, tuple[BlockPlan, ...]]]:
        """Go through the groups in order.

        Yields:
            The group's number (0-based), the widths that may enter it, the height and width that enter, and its blocks.
        """
        size = -(-self.clip[1] // STEM_STRIDE)
        entering: tuple[int, ...] = (self.space.stem.channels,)
        for number, (group, plan) in enumerate(zip(self.space.groups, block_plan(self.space), strict=True)):
            yield number, entering, size, plan
            for block in plan:
                size = -(-size // block.stride)
            entering = group.channels

    def stem(self) -> Piece:
        """The first convolution."""
        stem = self.space.stem
        build = partial(create_stem, 3, stem.channels, stem.temporal_kernel, norm=nn.BatchNorm3d, activation=nn.ReLU)
        size = -(-self.clip[1] // STEM_STRIDE)
        key = f"stem {stem.channels} t{stem.temporal_kernel} at {self._at(self.clip[1])}"
        return Piece(key, (3, *self.clip), build, (stem.channels, self.clip[0], size, size), first=True)

    def block(
        self, entering: int, channels: int, kernel: tuple[int, int], expansion: float, size: int, plan: BlockPlan
    ) -> tuple[Piece, Piece, Piece]:
        """The three pieces of one block: expansion, depthwise convolution, projection.

        Args:
            entering: channels of the block's input.
            channels: channels of its output.
            kernel: (t, s) of its depthwise kernel.
            expansion: inner channels over input channels.
            size: height and width of its input.
            plan: its stride, and whether it has squeeze-excitation.
        """
        inner, frames, out = inner_width(entering, expansion), self.clip[0], -(-size // plan.stride)
        make = partial(
            MBConv3D, entering, channels, inner_channels=inner, kernel=kernel, stride=plan.stride,
            se_ratio=SE_RATIO if plan.squeeze_excite else 0.0,
        )  # fmt: skip
        window = f"k{kernel[0]}x{kernel[1]} s{plan.stride}{' se' if plan.squeeze_excite else ''}"
        adds = plan.stride == 1 and entering == channels
        taken, wide = (entering, frames, size, size), (inner, frames, size, size)
        filtered, given = (inner, frames, out, out), (channels, frames, out, out)
        project = partial(_Projection, make, given if adds else None)
        name = f"project {inner}-{channels}{' add' if adds else ''} at {self._at(out)}"
        return (
            Piece(f"expand {entering}-{inner} at {self._at(size)}", taken, partial(_expand, make), wide),
            Piece(f"depthwise {inner} {window} at {self._at(size)}", wide, partial(_filter, make), filtered),
            Piece(name, filtered, project, given),
        )

    def attention(self, name: str, channels: int, size: int) -> Piece:
        """An attention block on a map of `size` x `size` pixels; "none", which computes nothing, is no piece."""
        build = partial(ATTENTION_REGISTRY.get(name), channels, norm=nn.BatchNorm3d)
        shape = (channels, self.clip[0], size, size)
        return Piece(f"{name} {channels} at {self._at(size)}", shape, build, shape)

    def head(self, channels: int, size: int) -> Piece:
        """The head, for 400 classes, on a map of `size` x `size` pixels."""
        head = self.space.head
        build = partial(
            create_projected_head, in_channels=channels, channels=head.channels, hidden=head.hidden, num_classes=400
        )
        return Piece(f"head {channels} at {self._at(size)}", (channels, self.clip[0], size, size), build)

    def network(self, number: int, architecture: Architecture) -> Piece:
        """A whole network as a piece.

        Its key holds its choices, so that what was measured before the space changed is not taken for it.
        """
        build = partial(create_autox3d, architecture, input_clip_length=self.clip[0], input_crop_size=self.clip[1])
        return Piece(network_key(number, architecture), (3, *self.clip), build)

    def last_size(self) -> int:
        """Height and width of the map that the head takes."""
        *_, (_, _, size, plan) = self.groups()
        for block in plan:
            size = -(-size // block.stride)
        return size

    def _at(self, size: int) -> str:
        return f"{self.clip[0]}x{size}x{size}"


def _expand(make: Callable[[], MBConv3D]) -> nn.Module:
    block = make()
    return nn.Sequential(block.expand, block.expand_norm, block.activation)


def _filter(make: Callable[[], MBConv3D]) -> nn.Module:
    block = make()
    return nn.Sequential(block.depthwise, block.depthwise_norm, block.squeeze_excite, block.inner_activation)


class _Projection(nn.Module):
    """A block's end: the projection, and the sum with what entered the block, where there is one.

    Args:
        make: makes the block.
        residual: the shape of what is added; None without a residual.
    """

    residual: torch.Tensor | None

    def __init__(self, make: Callable[[], MBConv3D], residual: Shape | None) -> None:
        super().__init__()
        block = make()
        self.project, self.project_norm = block.project, block.project_norm
        self.register_buffer("residual", None if residual is None else torch.zeros(1, *residual))

    def forward(self, inner_BCTHW: torch.Tensor) -> torch.Tensor:
        """(B, inner channels, T, H, W) -> (B, channels, T, H, W)."""
        projected = self.project_norm(self.project(inner_BCTHW))
        return projected if self.residual is None else self.residual + projected


def network_key(number: int, architecture: Architecture) -> str:
    """The key of a whole network: its number among the random ones, and a hash of its choices."""
    text = simplejson.dumps(architecture.to_dict(), sort_keys=True)
    return f"network {number}, {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def whole_networks(space: SearchSpace, clip: tuple[int, int, int], count: int) -> dict[str, Piece]:
    """The first `count` networks of `random_networks` as pieces, by key."""
    grid = Grid(space, clip)
    networks = [grid.network(number, one) for number, one in enumerate(random_networks(space, count))]
    return {piece.key: piece for piece in networks}


def random_networks(space: SearchSpace, count: int) -> list[Architecture]:
    """Draw architectures at random, the same ones at every call for a space."""
    generator = torch.Generator().manual_seed(0)
    return [space.sample(generator) for _ in range(count)]


def pieces_of(space: SearchSpace, clip: tuple[int, int, int]) -> dict[str, Piece]:
    """All pieces that networks of a space can have, for clips (T, S, S), by key."""
    grid = Grid(space, clip)
    pieces = [grid.stem()]
    for number, widths, size, plan in grid.groups():
        group = space.groups[number]
        for channels in group.channels:
            for kernel in group.kernels:
                for expansion in group.expansions:
                    for width in widths:
                        pieces += grid.block(width, channels, kernel, expansion, size, plan[0])
                    for one in plan[1:]:
                        pieces += grid.block(channels, channels, kernel, expansion, -(-size // plan[0].stride), one)
            inner = -(-size // plan[0].stride)
            pieces += [grid.attention(name, channels, inner) for name in group.attentions if name != "none"]
    pieces += [grid.head(channels, grid.last_size()) for channels in space.groups[-1].channels]
    return {piece.key: piece for piece in pieces}
