"""Takes off what a runtime spends on handing maps over, which is no part of a network's time.

A piece that is a file of its own takes its map in the runtime's plain layout and gives one back; within a network it
does neither. OpenVINO rearranges both maps, which costs as much again as many a layer. So an exported piece stands in
a frame: a 1x1x1 convolution of one channel makes its map, and a mean over positions ends it. For every map that
occurs the frame is timed without a piece, too, and half of that time is taken off at either end of a piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from pytorchvideo_autox3d.latency.pieces import Piece, Shape


def framed(pieces: Iterable[Piece]) -> list[Piece]:
    """Put every piece in its frame.

    Returns:
        The framed pieces, and after them each frame that occurs as a piece of its own.
    """
    pieces = list(pieces)
    maps = dict.fromkeys(shape for piece in pieces for shape in _ends(piece))
    frames = [Piece(_key(shape), (1, *shape[1:]), partial(_frame, shape[0])) for shape in maps]
    return [*map(_framed, pieces), *frames]


def without_frame(piece: Piece, milliseconds: Mapping[str, float]) -> float:
    """A piece's own milliseconds: those measured of it, less half of the frame's at either end, at least 0.

    Args:
        piece: the piece as it was before `framed`.
        milliseconds: measured, by key. Where no frames were measured nothing is taken off.
    """
    frames = sum(milliseconds.get(_key(shape), 0.0) for shape in _ends(piece))
    return max(0.0, milliseconds[piece.key] - frames / 2)


def _ends(piece: Piece) -> list[Shape]:
    """The maps that a piece takes and gives, without a network's own: its clip and its logits."""
    return [shape for shape in (None if piece.first else piece.shape, piece.out) if shape is not None]


def _key(shape: Shape) -> str:
    return f"frame {shape[0]} at {'x'.join(map(str, shape[1:]))}"


def _framed(piece: Piece) -> Piece:
    shape = piece.shape if piece.first else (1, *piece.shape[1:])
    return replace(piece, shape=shape, build=partial(_between, piece))


def _between(piece: Piece) -> nn.Module:
    entry = [] if piece.first else [nn.Conv3d(1, piece.shape[0], 1)]
    return nn.Sequential(*entry, piece.build(), *([] if piece.out is None else [_Mean()]))


def _frame(channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv3d(1, channels, 1), _Mean())


class _Mean(nn.Module):
    """The mean over all positions, (B, C)."""

    def forward(self, clip_BCTHW: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, C)."""
        return clip_BCTHW.mean((2, 3, 4))
