"""Milliseconds of a space on one machine: its blocks measured one by one, and whether whole networks add up so."""

from pytorchvideo_autox3d.latency.measure import Measured, Setting, measure_pieces, network_milliseconds, read_measured
from pytorchvideo_autox3d.latency.pieces import Piece, pieces_of
from pytorchvideo_autox3d.latency.portable import write_portable
from pytorchvideo_autox3d.latency.tables import Agreement, make_table, pieces_to_measure

__all__ = [
    "Agreement",
    "Measured",
    "Piece",
    "Setting",
    "make_table",
    "measure_pieces",
    "network_milliseconds",
    "pieces_of",
    "pieces_to_measure",
    "read_measured",
    "write_portable",
]
