"""The measurements of all files of a list, kept line by line so that an interrupted check goes on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import simplejson
from rich.progress import Progress

from pytorchvideo_autox3d.data.manifest import Manifest
from pytorchvideo_autox3d.data.parallel import in_processes
from pytorchvideo_autox3d.data.tools.measurement import UNREADABLE, Measurement, measure_video


def measure_all(
    manifest: Manifest, journal: Path, workers: int, seconds: float, show_progress: bool
) -> Mapping[str, Measurement]:
    """Measure every video of a list that the journal doesn't have yet, and write each to the journal at once.

    Args:
        manifest: the list.
        journal: a file with one measurement on each line. Videos whose size or time has changed since are read again.
        workers: processes; 0 reads in this one. A video that crashes its process is "unreadable".
        seconds: the time that a video may take; 0 waits for ever.
        show_progress: whether to show a bar.

    Returns:
        The measurement of every path.
    """
    known = _read_journal(journal)
    open_paths = {record.path for record in manifest if _stamp(record.path) != known.get(record.path, (None,))[0]}
    measured = {path: entry[1] for path, entry in known.items()}
    with Progress(disable=not show_progress) as progress, journal.open("a", encoding="utf8") as lines:
        lines.write("\n")  # after what an interrupted check may have left of a line
        bar = progress.add_task("checking", total=len(manifest), completed=len(manifest) - len(open_paths))
        paths = (path for path in sorted(open_paths))
        for path, result in in_processes(partial(measure_video, seconds=seconds), paths, workers=workers):
            measured[path] = result or Measurement(UNREADABLE, "it brings the decoder down")
            entry = {"path": path, "stamp": _stamp(path), **asdict(measured[path])}
            lines.write(simplejson.dumps(entry) + "\n")
            lines.flush()
            progress.advance(bar)
    return measured


def _read_journal(journal: Path) -> dict[str, tuple[list[int], Measurement]]:
    if not journal.is_file():
        return {}
    known = {}
    for line in journal.read_text(encoding="utf8", errors="replace").splitlines():
        try:
            entry = simplejson.loads(line)
            path, stamp = entry.pop("path"), entry.pop("stamp")
            known[path] = (stamp, Measurement(**entry))
        except (simplejson.JSONDecodeError, AttributeError, KeyError, TypeError):
            continue  # the line that the interrupted check was writing, or one of another version: read the file again
    return known


def _stamp(path: str) -> list[int]:
    """Size in bytes and time in nanoseconds of a file, which tell whether it has changed; -1 for a missing one."""
    try:
        status = os.stat(path)
    except OSError:
        return [-1, -1]
    return [status.st_size, status.st_mtime_ns]
