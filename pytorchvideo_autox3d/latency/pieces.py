"""What is measured of a space: each layer of a block, attention, stem and head that any of its networks can have, once.

A block is three pieces: expansion, depthwise convolution (with its squeeze-excitation) and projection. Blocks share
them: the 17,598 blocks of Table 2's space have 3,546.
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
        first: whether it takes the clip.
    """

    key: str
    shape: Shape
    build: Callable[[], nn.Module]
    out: Shape | None = None
    first: bool = False


@dataclass(frozen=True)
class Grid:
    """Where a space's groups stand: what enters each, at which size, and its blocks."""

    space: SearchSpace
    clip: tuple[int, int, int]

    def groups(self) -> Iterator[tuple[int, tuple[int, ...], int, tuple[BlockPlan, ...]]]:
        """By group: its number, the widths that may enter, the height and width that enter, its blocks."""
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
        """The layers of one block on a map of `size` x `size` pixels: expansion, depthwise convolution, projection."""
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
        """One attention block; "none" computes nothing and is no piece."""
        build = partial(ATTENTION_REGISTRY.get(name), channels, norm=nn.BatchNorm3d)
        shape = (channels, self.clip[0], size, size)
        return Piece(f"{name} {channels} at {self._at(size)}", shape, build, shape)

    def head(self, channels: int, size: int) -> Piece:
        """The head, for 400 classes."""
        head = self.space.head
        build = partial(
            create_projected_head, in_channels=channels, channels=head.channels, hidden=head.hidden, num_classes=400
        )
        return Piece(f"head {channels} at {self._at(size)}", (channels, self.clip[0], size, size), build)

    def network(self, number: int, architecture: Architecture) -> Piece:
        """A whole network; its key holds its choices, so that figures of a space since changed are not taken for it."""
        build = partial(create_autox3d, architecture, input_clip_length=self.clip[0], input_crop_size=self.clip[1])
        return Piece(network_key(number, architecture), (3, *self.clip), build)

    def last_size(self) -> int:
        """Height and width of what the head takes."""
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
    """A block's end: the projection, and the sum with what entered the block, where there is one."""

    residual: torch.Tensor | None

    def __init__(self, make: Callable[[], MBConv3D], residual: Shape | None) -> None:
        super().__init__()
        block = make()
        self.project, self.project_norm = block.project, block.project_norm
        self.register_buffer("residual", None if residual is None else torch.zeros(1, *residual))

    def forward(self, inner_BCTHW: torch.Tensor) -> torch.Tensor:
        projected = self.project_norm(self.project(inner_BCTHW))
        return projected if self.residual is None else self.residual + projected


def network_key(number: int, architecture: Architecture) -> str:
    """Names a whole network."""
    text = simplejson.dumps(architecture.to_dict(), sort_keys=True)
    return f"network {number}, {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def whole_networks(space: SearchSpace, clip: tuple[int, int, int], count: int) -> dict[str, Piece]:
    """So many random networks as pieces by key."""
    grid = Grid(space, clip)
    networks = [grid.network(number, one) for number, one in enumerate(random_networks(space, count))]
    return {piece.key: piece for piece in networks}


def random_networks(space: SearchSpace, count: int) -> list[Architecture]:
    """The same architectures for every table of a space."""
    generator = torch.Generator().manual_seed(0)
    return [space.sample(generator) for _ in range(count)]


def pieces_of(space: SearchSpace, clip: tuple[int, int, int]) -> dict[str, Piece]:
    """All pieces of a space at a clip size (T, S, S) by key."""
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
