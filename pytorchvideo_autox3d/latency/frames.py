"""What a runtime spends on handing maps over is no part of a network: exported pieces are framed, the frames taken off.

A piece that is a file of its own takes its map in the runtime's plain layout and gives one back; within a network it
does neither, and OpenVINO rearranges both, which costs as much again as many a layer. So an exported piece stands
between a 1x1x1 convolution of one channel, which makes its map, and a mean over positions, which ends it. The two are
timed without a piece as well, for every map that occurs, and half of that is taken off at either end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from pytorchvideo_autox3d.latency.pieces import Piece, Shape


def framed(pieces: Iterable[Piece]) -> list[Piece]:
    """Every piece in its frame, and every frame."""
    pieces = list(pieces)
    maps = dict.fromkeys(shape for piece in pieces for shape in _ends(piece))
    frames = [Piece(_key(shape), (1, *shape[1:]), partial(_frame, shape[0])) for shape in maps]
    return [*map(_framed, pieces), *frames]


def without_frame(piece: Piece, milliseconds: Mapping[str, float]) -> float:
    """A piece's milliseconds by itself, of measured ones by key; of pieces that were not framed, as they are."""
    frames = sum(milliseconds.get(_key(shape), 0.0) for shape in _ends(piece))
    return max(0.0, milliseconds[piece.key] - frames / 2)


def _ends(piece: Piece) -> list[Shape]:
    """The maps that it takes and gives, but for what a network takes and gives as well: its clip, its logits."""
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
    def forward(self, clip_BCTHW: torch.Tensor) -> torch.Tensor:
        return clip_BCTHW.mean((2, 3, 4))
