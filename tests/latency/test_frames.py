"""Frames: what stands around an exported piece, and that taking it off leaves what the piece itself takes."""

import pytest
import torch

from pytorchvideo_autox3d.analysis import count_module
from pytorchvideo_autox3d.latency import make_table, pieces_of, pieces_to_measure
from pytorchvideo_autox3d.latency.frames import framed, without_frame
from tests.latency.helpers import CLIP, small_space
from tests.latency.test_tables import SETTING, as_measured


@pytest.fixture(scope="module")
def pieces():
    return pieces_of(small_space(), CLIP)


def test_a_piece_gives_the_map_that_it_says(pieces):
    for piece in pieces.values():
        with torch.no_grad():
            out = piece.build().eval()(torch.zeros(1, *piece.shape))
        assert tuple(out.shape[1:]) == (piece.out or (400,))


def test_frames_come_off(pieces):
    """In place of milliseconds the floats that are read and written: a frame makes a map and reads it again."""

    def floats(piece, own):
        ends = [shape for shape in (None if piece.first else piece.shape, piece.out) if shape]
        return own + sum(torch.Size(shape).numel() for shape in ends)

    own = {key: float(number) for number, key in enumerate(pieces)}
    taken = {key: floats(piece, own[key]) for key, piece in pieces.items()}
    for piece in framed(pieces.values()):
        if piece.key.startswith("frame "):
            channels, at = piece.key.removeprefix("frame ").split(" at ")
            taken[piece.key] = 2.0 * int(channels) * torch.Size(map(int, at.split("x"))).numel()
    assert {key: without_frame(piece, taken) for key, piece in pieces.items()} == pytest.approx(own)


def test_framed_pieces_run_and_are_one_more_for_each_map(pieces):
    found = {piece.key: piece for piece in framed(pieces.values())}
    maps = {shape for piece in pieces.values() for shape in (piece.shape, piece.out) if shape} - {(3, *CLIP)}
    assert len(found) == len(pieces) + len(maps)
    for piece in found.values():
        with torch.no_grad():
            assert piece.build().eval()(torch.zeros(1, *piece.shape)).dim() == 2


def test_a_table_of_framed_pieces_adds_up():
    """Multiply-adds in place of milliseconds; a frame has those of its convolution, and half of it at either end."""
    pieces = pieces_to_measure(small_space(), CLIP, "onnx")
    macs = {}
    for key, piece in pieces.items():
        macs[key] = float(count_module(piece.build(), piece.shape[1:], in_channels=piece.shape[0]).macs)
    _, agreement = make_table(small_space(), SETTING, as_measured(macs))
    assert agreement.tau > 0.9
    assert agreement.error < 0.05
