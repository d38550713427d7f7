"""The checkpoints of a run as files: their names, which one got furthest and is whole, and which of them stay.

    <output_dir>/checkpoints/checkpoint_epoch_00012.pyth                 after epoch 12
    <output_dir>/checkpoints/checkpoint_epoch_00013_step_00000120.pyth   inside epoch 13, after its step 120
    <output_dir>/checkpoints/latest.pyth                                 a link to the last one written

A file is written beside its name, flushed to the disk and renamed, so that a process or a machine that dies leaves
whole files. Files that were cut later (a full disk elsewhere, a copy broken off) are found by their checksums.
"""

from __future__ import annotations

import logging
import os
import re
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.checkpoint_files import read_checkpoint
from pytorchvideo_autox3d.errors import CheckpointError
from pytorchvideo_autox3d.files import atomic_write

LATEST = "latest.pyth"
_NAME = re.compile(r"checkpoint_epoch_(\d+)(?:_step_(\d+))?\.pyth")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How often checkpoints are written inside an epoch, and how many stay.

    Attributes:
        minutes: time between two checkpoints inside an epoch; 0 writes none (AUTOX3D.CHECKPOINT_MINUTES).
        last: a checkpoint inside an epoch stays while it is among the last so many of all checkpoints
            (AUTOX3D.CHECKPOINTS_KEPT). With 1, where that file is damaged there is none before it in its epoch.
        epochs: how many checkpoints of whole epochs stay; 0 is all, as in PySlowFast (AUTOX3D.EPOCHS_KEPT).
    """

    minutes: float = 0.0
    last: int = 2
    epochs: int = 0


def checkpoint_dir(output_dir: str) -> str:
    """The folder of a run's checkpoints."""
    return os.path.join(output_dir, "checkpoints")


def checkpoint_path(output_dir: str, epoch: int, step: int = 0) -> str:
    """The path of the checkpoint after `epoch` whole epochs and `step` updates of the next.

    In the name, epochs are counted from 1, as in PySlowFast.
    """
    name = f"checkpoint_epoch_{epoch + 1:05d}_step_{step:08d}.pyth" if step else f"checkpoint_epoch_{epoch:05d}.pyth"
    return os.path.join(checkpoint_dir(output_dir), name)


def last_checkpoint(output_dir: str, *, tell: bool = False) -> str | None:
    """The checkpoint that got furthest and is whole; None where there are no checkpoints.

    Args:
        output_dir: the run's folder.
        tell: log which damaged files were passed over.


    Raises:
        CheckpointError: there are checkpoints, and each is damaged; names the furthest.
    """
    damaged: list[str] = []
    for path in _furthest_first(checkpoint_dir(output_dir)):
        if not is_whole(path):
            damaged.append(path)
            continue
        for one in damaged if tell else ():
            _logger.warning("%s is damaged (truncated, or no checkpoint): going on from %s before it", one, path)
        return path
    if damaged:
        raise CheckpointError(
            f"{damaged[0]}: truncated, or no checkpoint, and no whole one lies before it; remove it to start anew"
        )
    return None


def is_whole(path: str) -> bool:
    """Whether a checkpoint is undamaged, by the checksums in the file; one in torch's older form is read instead."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return _is_whole(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _is_whole(path: str, size: int, changed: int) -> bool:
    """`is_whole`, remembered for a file of this size and time of change, as a start asks several times."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, RuntimeError):
        pass
    try:
        read_checkpoint(path)
    except CheckpointError:
        return False
    return True


def write_checkpoint(path: str, content: bytes | memoryview, keeping: Keeping) -> None:
    """Write a serialised checkpoint, point `latest.pyth` to it, and remove what `keeping` does not keep.

    Raises:
        AutoX3DError: the disk is full, or the folder can't be written to. Older checkpoints are untouched.
    """
    with atomic_write(path) as beside, open(beside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    point_latest_to(path)
    _remove_superseded(path, keeping)


def point_latest_to(path: str) -> None:
    """Make `latest.pyth` a link to a checkpoint; on a file system without links nothing is made."""
    link = os.path.join(os.path.dirname(path), LATEST)
    beside = f"{link}.{os.getpid()}.tmp"
    try:
        os.symlink(os.path.basename(path), beside)
        os.replace(beside, link)
    except OSError:
        with suppress(OSError):
            os.remove(beside)
        _logger.debug("no link can be made at %s", link)


def _remove_superseded(path: str, keeping: Keeping) -> None:
    """Remove the checkpoints up to `path` that `keeping` does not keep."""
    paths = _furthest_first(os.path.dirname(path))
    older = paths[paths.index(path) :]
    inside = [one for one in older[max(keeping.last, 1) :] if _position(one)[1]]
    epochs = [one for one in older if not _position(one)[1]]
    for one in [*inside, *(epochs[keeping.epochs :] if keeping.epochs else [])]:
        os.remove(one)


def _furthest_first(folder: str) -> list[str]:
    """The files of the checkpoints in a folder, the one that got furthest first."""
    names = g_pathmgr.ls(folder) if g_pathmgr.isdir(folder) else []
    paths = [os.path.join(folder, name) for name in names if _NAME.fullmatch(name)]
    return sorted(paths, key=_position, reverse=True)


def _position(path: str) -> tuple[int, int]:
    """(whole epochs, updates of the next) of a checkpoint, by its name."""
    match = _NAME.fullmatch(os.path.basename(path))
    assert match is not None, "only names of checkpoints are asked for"
    epoch, step = int(match[1]), int(match[2] or 0)
    return (epoch - 1, step) if step else (epoch, 0)
