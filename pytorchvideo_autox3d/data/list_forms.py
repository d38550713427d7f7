"""The forms in which lists of videos come: csv, json, folders of class folders; and the classes' names beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import simplejson
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.data.manifest import Manifest, Places, check_label, read_manifest
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
    items = []
    for place, video, label in _json_items(path):
        number = _number(place, label, numbers)
        check_label(number, num_classes, place=place)
        items.append((video, number))
    places = Places.of(path, range(1, len(items) + 1), unit="entry")
    return Manifest.from_items(items, name=path, prefix=path_prefix, classes=classes, places=places)


def read_json(path: str) -> Any:
    """Parse a json file; raise `DataError` if it is missing, can't be read or is none."""
    try:
        with g_pathmgr.open(path, "r", encoding="utf-8-sig") as file:
            return simplejson.load(file)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: can't read it: {error.strerror or error}") from None
    except simplejson.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not json: {error.msg}") from None
    except RecursionError:
        raise DataError(f"{path}: not a list: its json is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not json: no UTF-8 at byte {error.start}") from None


def read_classes(folder: str) -> tuple[str, ...]:
    """The names in a folder's classes.json in the order of their numbers; none where there is no such file."""
    path = os.path.join(folder, CLASSES_FILE)
    if not g_pathmgr.exists(path):
        return ()
    content = read_json(path)
    if isinstance(content, dict):
        return names_in_order(content, path)
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        if len(set(content)) < len(content):
            twice = next(name for name in content if content.count(name) > 1)
            raise DataError(f"{path}: the name {twice!r} stands there twice")
        return tuple(content)
    raise DataError(f"{path}: expected a list of names, or names with the numbers 0 to their count less one")


def names_in_order(numbers: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """The names of {name: number} by their numbers; `DataError` naming the first that breaks 0 to N - 1.

    Something-Something's own file has its numbers as strings.
    """
    names: dict[int, str] = {}
    for name, value in numbers.items():
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if not _is_number(number) or not 0 <= number < len(numbers) or number in names:
            raise DataError(
                f"{path}: {name!r}: the number {value!r} is wrong, expected 0 to {len(numbers) - 1}, each once"
            )
        names[number] = name
    return tuple(names[number] for number in sorted(names))


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _read_folder(folder: str, num_classes: int | None) -> Manifest:
    present = sorted(name for name in g_pathmgr.ls(folder) if g_pathmgr.isdir(os.path.join(folder, name)))
    # A split that lacks a class must not renumber the others: names that all splits share come first.
    classes = read_classes(folder) or read_classes(os.path.dirname(folder.rstrip("/"))) or tuple(present)
    unknown = [name for name in present if name not in classes]
    if unknown:
        raise DataError(f"{folder}: the folder {unknown[0]!r} is no class of {CLASSES_FILE}")
    if num_classes is not None and len(classes) > num_classes:
        raise DataError(
            f"{folder}: has {len(classes)} classes, expected {num_classes} or fewer: {classes[num_classes]!r}"
        )
    items = [
        (f"{name}/{video}", classes.index(name))
        for name in present
        for video in sorted(g_pathmgr.ls(os.path.join(folder, name)))
        if video.lower().endswith(VIDEO_SUFFIXES)
    ]
    return Manifest.from_items(items, name=folder, prefix=folder, classes=classes)


def _json_items(path: str) -> Iterator[tuple[str, str, Any]]:
    """(place, video, label) of every entry; the place is that of messages."""
    content = read_json(path)
    if isinstance(content, dict):
        for key, value in content.items():
            place = f"{path}: {key!r}"
            yield place, *_entry(place, key, value)
    elif isinstance(content, list):
        for number, value in enumerate(content, 1):
            place = f"{path}: entry {number}"
            yield place, *_pair(place, value)
    else:
        raise DataError(f"{path}: expected a list or a mapping of videos, found {type(content).__name__}")


def _entry(place: str, name: str, value: Any) -> tuple[str, Any]:
    if not isinstance(value, dict):
        return name, value
    if "annotations" not in value:
        if "label" not in value:
            raise DataError(f"{place}: has no label, found {str(value)[:80]}")
        return str(value.get("path", name)), value["label"]
    try:
        start, end = value["annotations"]["segment"]
        return f"{name}_{round(start):06d}_{round(end):06d}.mp4", value["annotations"]["label"]
    except (KeyError, TypeError, ValueError):
        wanted = 'expected annotations with a "label" and a "segment" of two numbers'
        raise DataError(f"{place}: {wanted}, found {str(value['annotations'])[:80]}") from None


def _pair(place: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, dict) and "label" in value:
        named = [value[key] for key in ("path", "video_path", "video") if key in value]
        if named and isinstance(named[0], str):
            return named[0], value["label"]
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return value[0], value[1]["label"] if isinstance(value[1], dict) and "label" in value[1] else value[1]
    raise DataError(f"{place}: expected a path and a label, found {str(value)[:80]}")


def _number(place: str, label: Any, numbers: Mapping[str, int]) -> int:
    if _is_number(label):
        return int(label)
    if isinstance(label, str) and label in numbers:
        return numbers[label]
    if not isinstance(label, str):
        raise DataError(f"{place}: the label {str(label)[:80]} is neither a whole number nor a name")
    hint = f"is not in {CLASSES_FILE}" if numbers else f"is a name, and no {CLASSES_FILE} lies beside the list"
    raise DataError(f"{place}: the label {label!r} {hint}")
