"""A folder of exported pieces and the script that times them, for a machine without this package."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pytorchvideo_autox3d.engine.progress import ProgressBar
from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.export.targets import target_of
from pytorchvideo_autox3d.files import atomic_write, write_json
from pytorchvideo_autox3d.latency.measure import Setting, plain, write_piece
from pytorchvideo_autox3d.latency.pieces import Piece
from pytorchvideo_autox3d.plain_data import parse_json

SCRIPT = Path(__file__).with_name("run_blocks.py")
INDEX = "pieces.json"


def write_portable(pieces: Mapping[str, Piece], setting: Setting, folder: Path) -> None:
    """Write every piece as ONNX, and `run_blocks.py`, which times them; of the same pieces, files that are there stay.

    Args:
        pieces: by key.
        setting: how they will be timed; the script sets threads and machine itself.
        folder: made where there is none.
    Raises:
        ExportError: onnx is not installed.
        SpaceError: the folder holds other pieces.
    """
    _ = target_of("onnx").module  # raises where it is not installed
    files = {key: f"{number:05d}.onnx" for number, key in enumerate(pieces)}
    given = {"setting": plain(setting), "files": files}
    begun = _begun(folder / INDEX, given)
    if not begun:
        write_json(folder / INDEX, given)  # first, so that it is known what an unfinished folder is of
    bar = ProgressBar()
    bar.start("exporting", len(pieces))
    try:
        for number, (key, piece) in enumerate(pieces.items()):
            bar.update(number, key)
            if not (begun and (folder / files[key]).exists()):
                with atomic_write(folder / files[key]) as beside:
                    write_piece(piece, torch.randn(setting.batch, *piece.shape), beside, backend="onnx")
    finally:
        bar.stop()
    shutil.copyfile(SCRIPT, folder / SCRIPT.name)


def _begun(index: Path, given: Mapping[str, Any]) -> bool:
    """Whether the pieces were begun already; `SpaceError` where the folder holds others."""
    if not index.exists():
        return False
    try:
        found = parse_json(index.read_text(encoding="utf8"))
        before = {**found["setting"], "files": found["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpaceError(f"{index}: lists no pieces: {error}") from None
    for name, value in {**given["setting"], "files": given["files"]}.items():
        # The script is told threads and machine.
        if name not in ("threads", "machine") and before.get(name) != value:
            raise SpaceError(f"{index}: was begun with another {name}: name another folder")
    return True
