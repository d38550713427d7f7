"""The forms in which lists of videos come: csv, json, folders of class folders; and the classes' names beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import simplejson
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.data.manifest import Manifest, read_manifest
from pytorchvideo_autox3d.errors import DataError

CLASSES_FILE = "classes.json"
VIDEO_SUFFIXES = (".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg")


def find_list(folder: str, mode: str, *, path_prefix: str = "", num_classes: int | None = None) -> Manifest:
    """The list of `mode` in a folder: `<mode>.csv`, else `<mode>.json`, else the folder `<mode>/`."""
    candidates = [os.path.join(folder, f"{mode}{suffix}") for suffix in (".csv", ".json", "")]
    found = next((path for path in candidates if g_pathmgr.exists(path)), candidates[0])
    return read_list(found, path_prefix=path_prefix, num_classes=num_classes)


def read_list(path: str, *, path_prefix: str = "", num_classes: int | None = None) -> Manifest:
    """Read a list in whichever form it has.

    A folder: each of its folders is a class, in the order of their names, or of classes.json. Ending in .json:
    {path: label}, {path: {"label": label}}, [[path, label]], [{"path": path, "label": label}], or Kinetics' own
    {id: {"annotations": {"label", "segment"}}} with files named id_start_end.mp4. All else: see `read_manifest`.
    Labels may be names where a classes.json lies beside the list, or in the folder: names, or {name: number}.

    Raises:
        DataError: names the file, and the line or entry at fault.
    """
    if g_pathmgr.isdir(path):
        return _read_folder(path, num_classes)
    classes = read_classes(os.path.dirname(path))
    if not path.endswith(".json"):
        return read_manifest(path, path_prefix=path_prefix, num_classes=num_classes, classes=classes)
    numbers = {name: number for number, name in enumerate(classes)}
    items = [(video, _number(path, video, label, numbers)) for video, label in _json_items(path)]
    return _checked(Manifest.from_items(items, name=path, prefix=path_prefix, classes=classes), num_classes)


def read_json(path: str) -> Any:
    """Parse a json file; raise `DataError` if it is missing or is none."""
    try:
        with g_pathmgr.open(path, "r", encoding="utf8") as file:
            return simplejson.load(file)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (simplejson.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not json: {error}") from None


def read_classes(folder: str) -> tuple[str, ...]:
    """The names in a folder's classes.json in the order of their numbers; none where there is no such file."""
    path = os.path.join(folder, CLASSES_FILE)
    if not g_pathmgr.exists(path):
        return ()
    content = read_json(path)
    if isinstance(content, dict) and sorted(content.values()) == list(range(len(content))):
        return tuple(sorted(content, key=content.__getitem__))
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return tuple(content)
    raise DataError(f"{path}: expected a list of names, or names with the numbers 0 to their count less one")


def _read_folder(folder: str, num_classes: int | None) -> Manifest:
    present = sorted(name for name in g_pathmgr.ls(folder) if g_pathmgr.isdir(os.path.join(folder, name)))
    # A split that lacks a class must not renumber the others: names that all splits share come first.
    classes = read_classes(folder) or read_classes(os.path.dirname(folder.rstrip("/"))) or tuple(present)
    unknown = [name for name in present if name not in classes]
    if unknown:
        raise DataError(f"{folder}: the folder {unknown[0]!r} is no class of {CLASSES_FILE}")
    items = [
        (f"{name}/{video}", classes.index(name))
        for name in present
        for video in sorted(g_pathmgr.ls(os.path.join(folder, name)))
        if video.lower().endswith(VIDEO_SUFFIXES)
    ]
    return _checked(Manifest.from_items(items, name=folder, prefix=folder, classes=classes), num_classes)


def _json_items(path: str) -> Iterator[tuple[str, Any]]:
    content = read_json(path)
    if isinstance(content, dict):
        for name, value in content.items():
            yield _entry(name, value)
    elif isinstance(content, list):
        for number, value in enumerate(content):
            yield _pair(path, number, value)
    else:
        raise DataError(f"{path}: expected a list or a mapping of videos, found {type(content).__name__}")


def _entry(name: str, value: Any) -> tuple[str, Any]:
    if not isinstance(value, dict):
        return name, value
    if "annotations" not in value:
        return str(value.get("path", name)), value.get("label")
    start, end = value["annotations"].get("segment", (0, 0))
    return f"{name}_{round(start):06d}_{round(end):06d}.mp4", value["annotations"].get("label")


def _pair(path: str, number: int, value: Any) -> tuple[str, Any]:
    if isinstance(value, dict) and "label" in value:
        named = [value[key] for key in ("path", "video_path", "video") if key in value]
        if named:
            return str(named[0]), value["label"]
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        return str(value[0]), value[1]["label"] if isinstance(value[1], dict) and "label" in value[1] else value[1]
    raise DataError(f"{path}: entry {number}: expected a path and a label, found {str(value)[:80]}")


def _number(path: str, video: str, label: Any, numbers: dict[str, int]) -> int:
    if isinstance(label, int) and not isinstance(label, bool):
        return label
    if label in numbers:
        return numbers[label]
    hint = f"is not in {CLASSES_FILE}" if numbers else f"is a name, and no {CLASSES_FILE} lies beside the list"
    raise DataError(f"{path}: {video}: the label {label!r} {hint}")


def _checked(manifest: Manifest, num_classes: int | None) -> Manifest:
    low, high = int(manifest.label.min()), int(manifest.label.max())
    if low < 0 or (num_classes is not None and high >= num_classes):
        wrong = low if low < 0 else high
        index = int((manifest.label == wrong).nonzero()[0])
        allowed = "0 or more" if num_classes is None else f"0 to {num_classes - 1}"
        raise DataError(f"{manifest.name}: {manifest.listed(index)}: label {wrong} is out of range, expected {allowed}")
    return manifest
