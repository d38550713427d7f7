"""Finds the videos that a command line names: files, folders, patterns, lists, standard input."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Sequence

from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.data import read_list
from pytorchvideo_autox3d.data.entries import VIDEO_SUFFIXES
from pytorchvideo_autox3d.errors import DataError

STDIN = "-"
_LISTS = (".csv", ".txt", ".tsv", ".json")
_ARRAY = ".npy"


def find_videos(names: Sequence[str], *, prefix: str = "", stdin: Iterable[str] | None = None) -> list[str]:
    """List the paths of all videos that `names` stand for, in order and each once.

    Args:
        names: a file; a folder, searched to its bottom; a pattern such as `clips/*.mp4`; a list (csv, json), whose
            labels are not looked at; or "-", standard input with a path on every line.
        prefix: joined before a list's relative paths.
        stdin: the lines to read for "-"; by default the process's standard input.
    Raises:
        DataError: a name stands for no video; names it.
    """
    found: dict[str, None] = {}
    for name in names:
        if name == STDIN:
            paths = [line.rstrip("\r\n") for line in (sys.stdin if stdin is None else stdin) if line.strip()]
        else:
            paths = _named(name, prefix)
        if not paths:
            raise DataError(f"{name}: {'names' if name == STDIN else 'holds'} no videos")
        found.update(dict.fromkeys(paths))
    return list(found)


def _named(name: str, prefix: str) -> list[str]:
    if name.lower().endswith(_LISTS) and not g_pathmgr.isdir(name):
        return list(read_list(name, path_prefix=prefix).paths)
    if g_pathmgr.isdir(name):
        return _in_folder(name)
    if glob.has_magic(name) and not os.path.exists(name):
        return sorted(glob.glob(name, recursive=True))
    return [name]


def _in_folder(folder: str) -> list[str]:
    return sorted(
        os.path.join(root, file)
        for root, _, files in os.walk(folder)
        for file in files
        if file.lower().endswith((*VIDEO_SUFFIXES, _ARRAY)) and not file.startswith(".")
    )


def find_labelled(names: Sequence[str], *, prefix: str = "") -> tuple[list[str], list[int] | list[str] | None]:
    """Find videos as `find_videos` does, and their classes where they are known.

    Args:
        names: as of `find_videos`; classes are known where it is a single list or folder that has them.
        prefix: joined before a list's relative paths.
    Returns:
        The paths, and the classes: their names, or the list's numbers (see `read_list`) where they have no names, or
        None.
    Raises:
        DataError: a name stands for no video, or a list is malformed.
    """
    name = names[0]
    is_list = name.lower().endswith(_LISTS)
    if len(names) == 1 and (is_list or g_pathmgr.isdir(name)):
        try:
            manifest = read_list(name, path_prefix=prefix)
        except DataError:
            if is_list:
                raise
        else:
            if manifest.labelled:
                numbers: list[int] = manifest.labels.tolist()
                names_K = manifest.classes.names
                return list(manifest.paths), [names_K[number] for number in numbers] if names_K else numbers
    return find_videos(names, prefix=prefix), None
