"""Reading every file of a list to the end, and saying what is wrong with those that have a fault.

What a file measures is kept apart from what the rules make of it: a check that is run again with other rules reads no
file twice.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import simplejson
from iopath.common.file_io import g_pathmgr
from rich.progress import Progress

from pytorchvideo_autox3d.data.manifest import Manifest, VideoRecord, refuse_to_replace, write_manifest
from pytorchvideo_autox3d.data.parallel import in_processes
from pytorchvideo_autox3d.data.pyav_reader import NoVideoStreamError, PyAVReader
from pytorchvideo_autox3d.data.time_limit import call_within
from pytorchvideo_autox3d.errors import DataError, DecodeError
from pytorchvideo_autox3d.files import write_json

MISSING, UNREADABLE, NO_STREAM, BROKEN = "missing", "unreadable", "no video stream", "decode error"
TOO_SHORT, WRONG_SIZE, VARIABLE_RATE = "too short", "wrong size", "variable frame rate"
TWO_LABELS, UNNAMED_CLASS = "two labels", "no class name"
FAULTS = (
    MISSING, UNREADABLE, NO_STREAM, BROKEN, TOO_SHORT, WRONG_SIZE, VARIABLE_RATE, TWO_LABELS, UNNAMED_CLASS
)  # fmt: skip
_JOURNAL = "journal.jsonl"
_SPARE_FRAMES = 2  # placeholders at the end that never were pictures, as XviD leaves them
# Frame periods vary by rounding to the container's unit, 1 ms in Matroska: that is no variable rate.
_ROUNDING_SECONDS, _ROUNDING_SHARE = 0.0021, 0.2


@dataclass(frozen=True)
class Measurement:
    """What reading a file to its end found.

    Attributes:
        problem: "" or one of `FAULTS`; `detail` is the message that goes with it.
        num_frames, fps, height, width: from the packets and the header; 0 where it did not come to that.
        bad_frame: the number of the first frame that can't be decoded, or -1.
        variable_rate: frames are not evenly spread in time.
    """

    problem: str = ""
    detail: str = ""
    num_frames: int = 0
    fps: float = 0.0
    height: int = 0
    width: int = 0
    bad_frame: int = -1
    variable_rate: bool = False


@dataclass(frozen=True)
class Rules:
    """What counts as a fault beyond files that can't be read.

    Attributes:
        min_frames: fewer are "too short".
        short_side: another short side is "wrong size"; 0 takes any.
        allow_variable_rate: keep such videos in the clean list; they are reported either way.
    """

    min_frames: int = 1
    short_side: int = 0
    allow_variable_rate: bool = True


@dataclass(frozen=True)
class CheckReport:
    """The outcome of a check. `faults` are (index, fault, detail), in the order of the list."""

    manifest: Manifest
    rules: Rules
    num_present: int
    faults: tuple[tuple[int, str, str], ...]
    clean: tuple[int, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Videos of every class of faults."""
        counted = Counter(fault for _, fault, _ in self.faults)
        return {fault: counted[fault] for fault in FAULTS}


def measure_video(path: str, *, seconds: float = 0) -> Measurement:
    """Decode `path` to the end; given up after `seconds`, where that is not 0."""
    if not g_pathmgr.exists(path):
        return Measurement(MISSING, "no such file")
    try:
        return call_within(lambda: _measure(path), seconds=seconds, path=path)
    except NoVideoStreamError as error:
        return Measurement(NO_STREAM, _without(path, error))
    except DecodeError as error:
        return Measurement(UNREADABLE, _without(path, error))


def _measure(path: str) -> Measurement:
    with PyAVReader(path) as reader:
        found = reader.metadata()
        times: list[float | None] = []
        message = ""
        try:
            for time, whole in reader.scan():
                if not whole:
                    message = "damaged"
                    break
                times.append(time)
        except DecodeError as error:
            message = _without(path, error)
        if not message and len(times) < found.num_frames - _SPARE_FRAMES:
            message = "the file ends"
    bad = len(times) if message else -1
    detail = f"frame {bad} of {found.num_frames}: {message}" if message else ""
    return Measurement(
        BROKEN if message else "", detail, found.num_frames, found.fps, found.height, found.width, bad, _varies(times)
    )


def _varies(times: list[float | None]) -> bool:
    known = [time for time in times if time is not None]
    if len(known) < 3 or len(known) < len(times):
        return False
    periods = np.diff(np.array(sorted(known)))
    tolerance = max(_ROUNDING_SECONDS, _ROUNDING_SHARE * float(np.median(periods)))
    return bool(np.ptp(periods) > tolerance)


def classify(measured: Measurement, rules: Rules) -> tuple[str, str]:
    """(fault, detail) of a file under the rules; ("", "") for a good one."""
    if measured.problem:
        return measured.problem, measured.detail
    if measured.num_frames < rules.min_frames:
        return TOO_SHORT, f"{measured.num_frames} frames, fewer than {rules.min_frames}"
    if rules.short_side and min(measured.height, measured.width) != rules.short_side:
        return WRONG_SIZE, f"{measured.width}x{measured.height}, expected a short side of {rules.short_side}"
    if measured.variable_rate:
        return VARIABLE_RATE, f"{measured.fps:.2f} frames a second on average"
    return "", ""


def check_list(
    manifest: Manifest,
    output: str | Path,
    *,
    rules: Rules | None = None,
    workers: int = 0,
    seconds: float = 120,
    show_progress: bool = True,
) -> CheckReport:
    """Check every video of a list; leave clean.csv, with the classes' names, and report.json in `output`.

    Files that an earlier, interrupted check has read are not read again, unless their size or time has changed.

    Args:
        workers: processes; 0 reads in this one. A file that brings its process down is "unreadable".
        seconds: the time a file may take; 0 waits for ever.
    """
    output, rules = Path(output), rules or Rules()
    refuse_to_replace(output / "clean.csv", manifest)
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / _JOURNAL).touch()
    except OSError as error:
        raise DataError(f"{output}: can't write there: {error.strerror or error}") from None
    measured = _measure_all(manifest, output / _JOURNAL, workers, seconds, show_progress)
    report = _judge(manifest, rules, measured)
    write_manifest(output / "clean.csv", manifest, report.clean)
    manifest.classes.write_beside(output / "clean.csv")
    write_json(output / "report.json", _as_json(report))
    return report


def _measure_all(
    manifest: Manifest, journal: Path, workers: int, seconds: float, show_progress: bool
) -> Mapping[str, Measurement]:
    """The measurement of every path, those already in the journal read from there."""
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
    """Size and time of a file, by which it is known to be the same; of a missing or remote one, none."""
    try:
        status = os.stat(path)
    except OSError:
        return [-1, -1]
    return [status.st_size, status.st_mtime_ns]


def _judge(manifest: Manifest, rules: Rules, measured: Mapping[str, Measurement]) -> CheckReport:
    faults, clean, present = [], [], 0
    twice = _labelled_twice(manifest)
    for record in manifest:
        fault, detail = classify(measured[record.path], rules)
        present += fault != MISSING
        if not fault or fault == VARIABLE_RATE:  # which a clean list may hold
            wrong = _label_fault(manifest, record, twice)
            fault, detail = wrong or (fault, detail)
        if fault:
            faults.append((record.index, fault, detail))
        if not fault or (fault == VARIABLE_RATE and rules.allow_variable_rate):
            clean.append(record.index)
    return CheckReport(manifest, rules, present, tuple(faults), tuple(clean))


def _labelled_twice(manifest: Manifest) -> dict[str, list[int]]:
    """The places of every file that stands in the list with more than one label."""
    places: dict[str, list[int]] = {}
    for record in manifest:
        places.setdefault(os.path.normpath(record.path), []).append(record.index)
    return {path: found for path, found in places.items() if len(set(manifest.label[found].tolist())) > 1}


def _label_fault(manifest: Manifest, record: VideoRecord, twice: Mapping[str, list[int]]) -> tuple[str, str] | None:
    """(fault, detail) of a video's label, which no decoding shows."""
    found = twice.get(os.path.normpath(record.path), [])
    if found:
        other = next(index for index in found if manifest.label[index] != record.label)
        place = "" if manifest.places is None else f" in {manifest.places.unit} {int(manifest.places.number[other])}"
        return TWO_LABELS, f"label {record.label} here, {int(manifest.label[other])}{place}"
    if manifest.classes and record.label >= len(manifest.classes):
        return UNNAMED_CLASS, f"label {record.label}, and {manifest.classes.source} names {len(manifest.classes)}"
    return None


def _as_json(report: CheckReport) -> dict[str, Any]:
    def entry(record: VideoRecord, fault: str, detail: str) -> dict[str, Any]:
        known = {"path": record.path, "label": record.label, "index": record.index, "fault": fault, "detail": detail}
        places = report.manifest.places
        return known if places is None else {places.unit: int(places.number[record.index]), **known}

    return {
        "list": report.manifest.name,
        "list_hash": report.manifest.digest(),
        "clean_hash": report.manifest.subset(report.clean).digest() if report.clean else None,
        "num_videos": len(report.manifest),
        "num_present": report.num_present,
        "num_clean": len(report.clean),
        "rules": asdict(report.rules),
        "counts": report.counts,
        "faults": [entry(report.manifest.record(i), fault, detail) for i, fault, detail in report.faults],
    }


def _without(path: str, error: DecodeError) -> str:
    return str(error).removeprefix(f"{path}: ")
