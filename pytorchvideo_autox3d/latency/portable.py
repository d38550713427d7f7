"""A folder of exported pieces and the script that times them, for a machine without this package."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from pytorchvideo_autox3d.engine.progress import ProgressBar
from pytorchvideo_autox3d.files import atomic_write, write_json
from pytorchvideo_autox3d.latency.measure import Setting, plain, write_piece
from pytorchvideo_autox3d.latency.pieces import Piece

SCRIPT = Path(__file__).with_name("run_blocks.py")


def write_portable(pieces: Mapping[str, Piece], setting: Setting, folder: Path) -> None:
    """Write every piece as ONNX, and `run_blocks.py`, which times them; files that are there already stay.

    Args:
        pieces: by key.
        setting: how they will be timed; the script sets threads and machine itself.
        folder: made where there is none.
    Raises:
        ExportError: onnx is not installed.
    """
    files = {key: f"{number:05d}.onnx" for number, key in enumerate(pieces)}
    folder.mkdir(parents=True, exist_ok=True)
    bar = ProgressBar()
    bar.start("exporting", len(pieces))
    try:
        for number, (key, piece) in enumerate(pieces.items()):
            bar.update(number, key)
            if not (folder / files[key]).exists():
                with atomic_write(folder / files[key]) as beside:
                    write_piece(piece, torch.randn(setting.batch, *piece.shape), beside, backend="onnx")
    finally:
        bar.stop()
    shutil.copyfile(SCRIPT, folder / SCRIPT.name)
    write_json(folder / "pieces.json", {"setting": plain(setting), "files": files})
