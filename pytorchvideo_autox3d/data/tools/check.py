"""Reads every file of a list to the end, and reports what is wrong with those that have a fault.

What reading a file finds is kept apart from how the rules judge it, so that a check that is run again with other rules
reads no file twice.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytorchvideo_autox3d.data.manifest import Manifest, VideoRecord, refuse_to_replace, write_manifest
from pytorchvideo_autox3d.data.tools.check_journal import measure_all
from pytorchvideo_autox3d.data.tools.measurement import (
    FAULTS,
    MISSING,
    TOO_SHORT,
    TWO_LABELS,
    UNNAMED_CLASS,
    VARIABLE_RATE,
    WRONG_SIZE,
    Measurement,
)
from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.files import write_json

_JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Rules:
    """What counts as a fault beyond files that can't be read.

    Attributes:
        min_frames: a video of fewer frames is "too short".
        short_side: a video with another short side, in pixels, has the "wrong size"; 0 takes any.
        allow_variable_rate: keep videos of a variable frame rate in the clean list; they are reported either way.
    """

    min_frames: int = 1
    short_side: int = 0
    allow_variable_rate: bool = True


@dataclass(frozen=True)
class CheckReport:
    """The outcome of a check.

    Attributes:
        manifest: the list.
        rules: by which it was judged.
        num_present: videos whose files exist.
        faults: (index in the list, fault, detail), in the order of the list.
        clean: indices of the videos of the clean list.
    """

    manifest: Manifest
    rules: Rules
    num_present: int
    faults: tuple[tuple[int, str, str], ...]
    clean: tuple[int, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many videos have each kind of fault."""
        counted = Counter(fault for _, fault, _ in self.faults)
        return {fault: counted[fault] for fault in FAULTS}


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

    Files that an earlier check has read are not read again, unless their size or time has changed.

    Args:
        manifest: the list.
        output: a folder.
        rules: what counts as a fault; None takes the defaults.
        workers: processes; 0 reads in this one. A file that crashes its process is "unreadable".
        seconds: the time that a file may take; 0 waits for ever.
        show_progress: whether to show a bar.

    Raises:
        DataError: `output` can't be written to, or its clean.csv is the list itself.
    """
    output, rules = Path(output), rules or Rules()
    refuse_to_replace(output / "clean.csv", manifest)
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / _JOURNAL).touch()
    except OSError as error:
        raise DataError(f"{output}: can't write there: {error.strerror or error}") from None
    measured = measure_all(manifest, output / _JOURNAL, workers, seconds, show_progress)
    report = _judge(manifest, rules, measured)
    write_manifest(output / "clean.csv", manifest, report.clean)
    manifest.classes.write_beside(output / "clean.csv")
    write_json(output / "report.json", _as_json(report))
    return report


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
    """For every file that is listed with more than one label, its indices in the list."""
    indices: dict[str, list[int]] = {}
    for record in manifest:
        indices.setdefault(os.path.normpath(record.path), []).append(record.index)
    return {path: found for path, found in indices.items() if len(set(manifest.label[found].tolist())) > 1}


def _label_fault(manifest: Manifest, record: VideoRecord, twice: Mapping[str, list[int]]) -> tuple[str, str] | None:
    """(fault, detail) of a video's label; None where there is none."""
    found = twice.get(os.path.normpath(record.path), [])
    if found:
        other = next(index for index in found if manifest.label[index] != record.label)
        place = (
            ""
            if manifest.locations is None
            else f" in {manifest.locations.unit} {int(manifest.locations.number[other])}"
        )
        return TWO_LABELS, f"label {record.label} here, {int(manifest.label[other])}{place}"
    if manifest.classes and record.label >= len(manifest.classes):
        return UNNAMED_CLASS, f"label {record.label}, and {manifest.classes.source} names {len(manifest.classes)}"
    return None


def _as_json(report: CheckReport) -> dict[str, Any]:
    def entry(record: VideoRecord, fault: str, detail: str) -> dict[str, Any]:
        known = {"path": record.path, "label": record.label, "index": record.index, "fault": fault, "detail": detail}
        locations = report.manifest.locations
        return known if locations is None else {locations.unit: int(locations.number[record.index]), **known}

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
