"""The forms in which lists of videos come: csv, json, class folders; and the one numbering of their classes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.data.classes import CLASSES_FILE, UNNAMED, ClassNames
from pytorchvideo_autox3d.data.csv_list import read_csv
from pytorchvideo_autox3d.data.entries import VIDEO_SUFFIXES, Entries, Label, as_label
from pytorchvideo_autox3d.data.json_file import read_json
from pytorchvideo_autox3d.data.manifest import Manifest, SourceLocations
from pytorchvideo_autox3d.errors import DataError, NoListError

TRAIN = "train"
_LINES_LOOKED_AT = 50
_OBJECT_STORES = "pytorchvideo_autox3d.data.object_store"


def find_list(
    folder: str,
    mode: str,
    *,
    path_prefix: str = "",
    num_classes: int | None = None,
    classes: ClassNames = UNNAMED,
) -> Manifest:
    """Read the list of `mode` in a folder: `<mode>.csv`, else `<mode>.json`, else the folder `<mode>/`.

    Args:
        folder: where to look.
        mode: "train", "val" or "test".
        path_prefix, num_classes, classes: see `read_list`.
    Raises:
        NoListError: the folder has none of these.
        DataError: the list has a fault, or its names have no numbers; names the file, and the line, entry or folder.
    """
    path = _list_path(folder, mode)
    if not g_pathmgr.exists(path):
        absent = f"holds no {mode}.csv, no {mode}.json and no folder {mode} of class folders"
        raise NoListError(f"{folder}: {absent}{_store_hint(folder)}")
    entries = _read(path, path_prefix)
    ClassNames.find(*_folders_of(path)).check_agrees(classes)
    _refuse_numbers_beside_names(path, entries)
    classes = classes or _numbering(path, entries)
    if not classes and entries.class_names and not entries.has_numbers:
        raise DataError(
            f"{path}: its classes are names, and nothing says their numbers: neither {CLASSES_FILE}, nor a list named "
            f"{TRAIN} beside it, nor the checkpoint"
        )
    return entries.numbered(classes, num_classes=num_classes)


def read_list(
    path: str, *, path_prefix: str = "", num_classes: int | None = None, classes: ClassNames = UNNAMED
) -> Manifest:
    """Read a list in any of its forms.

    In a folder, each folder that holds a video at any depth is a class, hidden ones left out; without such folders, the
    videos in it are a list without labels. A file ending in .json holds {path: label}, {path: {"label": label}},
    [[path, label]], [{"path": path, "label": label}], [path], or Kinetics' own {id: {"annotations": {"label",
    "segment"}}} with files named id_start_end.mp4. For any other file see `csv_list.read_csv`.

    Labels that are names get the same numbers in all lists of a folder: by `classes`, where given; else by the
    classes.json beside the list; else by the training list beside it (train.csv, train.json or train/); else, where
    there is neither, by the list itself. See `ClassNames.in_order`.

    Args:
        path: the list, a local file or an address that iopath knows.
        path_prefix: joined before every path that is not absolute.
        num_classes: labels must lie in 0..num_classes-1; None asks only that they are not negative.
        classes: the numbers of names; by default found as above.

    Raises:
        DataError: the list is missing or empty; a line does not parse; a label is out of range, or a name that the
            numbering lacks, or a number where the training list beside it has names. Names the file, and the line,
            entry or folder at fault.
    """
    path = path.rstrip("/") or path
    entries = _read(path, path_prefix)
    _refuse_numbers_beside_names(path, entries)
    classes = classes or _numbering(path, entries) or _own_numbering(entries)
    return entries.numbered(classes, num_classes=num_classes)


def _store_hint(folder: str) -> str:
    """What to do about a folder of an object store while nothing that opens those is imported."""
    if "://" not in folder or _OBJECT_STORES in sys.modules:
        return ""
    return f"; object stores need AUTOX3D.IMPORTS [{_OBJECT_STORES}]"


def _numbering(path: str, entries: Entries) -> ClassNames:
    """The numbering by the classes.json or the training list beside a list; without either, no names."""
    named = ClassNames.find(*_folders_of(path))
    if named or not entries.class_names:
        return named
    training = _list_path(os.path.dirname(path), TRAIN)
    if training == path:
        return _own_numbering(entries)
    return _own_numbering(_read(training, "")) if g_pathmgr.exists(training) else UNNAMED


def _refuse_numbers_beside_names(path: str, entries: Entries) -> None:
    """Refuse a list of numbers where the training list beside it has names and no classes.json gives their numbers.

    Whoever wrote the numbers counted the names in some order, which may not be that of `ClassNames`.

    Raises:
        DataError: the list is one.
    """
    training = _list_path(os.path.dirname(path), TRAIN)
    if not entries.has_numbers or training == path or ClassNames.find(*_folders_of(path)):
        return
    if g_pathmgr.exists(training) and _begins_with_names(training):
        found = f"the label is a number, but {training} has names"
        raise DataError(
            f"{entries.place_of_number()}: {found}; write names here too, or their numbers to {CLASSES_FILE}"
        )


def _begins_with_names(path: str) -> bool:
    """Whether a list's labels are names, judged by the first lines of a csv; class folders 0, 1, ... are numbers."""
    entries = read_csv(path, most=_LINES_LOOKED_AT) if _is_csv(path) else _read(path, "")
    return any(name != str(number) for number, name in enumerate(_own_numbering(entries)))


def _folders_of(path: str) -> tuple[str, ...]:
    """Where a list's classes.json may lie: beside it, in the training's folder of class folders, or in its own."""
    folder = os.path.dirname(path)
    return folder, os.path.join(folder, TRAIN), path


def _own_numbering(entries: Entries) -> ClassNames:
    """The numbering of a list by its own names; none where it has numbers, beside which a name is a mistake."""
    return UNNAMED if entries.has_numbers else ClassNames.in_order(entries.class_names, entries.name)


def _list_path(folder: str, mode: str) -> str:
    candidates = [os.path.join(folder, f"{mode}{suffix}") for suffix in (".csv", ".json", "")]
    return next((path for path in candidates if g_pathmgr.exists(path)), candidates[0])


def _read(path: str, prefix: str) -> Entries:
    if _is_csv(path):
        return read_csv(path, prefix=prefix)
    return _read_json_list(path, prefix) if path.endswith(".json") else _read_folder(path)


def _is_csv(path: str) -> bool:
    return not path.endswith(".json") and not g_pathmgr.isdir(path)


def _read_folder(folder: str) -> Entries:
    here = _visible(folder)
    paths: list[str] = []
    labels: list[Label] = []
    for name in here:
        if g_pathmgr.isdir(os.path.join(folder, name)):
            found = list(_videos_below(folder, name))
            paths += found
            labels += [name] * len(found)
    outside = _videos(here)
    if not paths:
        return Entries(folder, outside, [None] * len(outside), prefix=folder)
    if outside:
        raise DataError(f"{folder}: {outside[0]!r} lies beside the class folders, in none of them")
    return Entries(folder, paths, labels, prefix=folder)


def _videos_below(folder: str, name: str) -> Iterator[str]:
    """The videos of a class folder and of the folders in it, as paths from `folder`, without hidden ones."""
    here = _visible(os.path.join(folder, name))
    yield from (f"{name}/{video}" for video in _videos(here))
    for below in here:
        if g_pathmgr.isdir(os.path.join(folder, name, below)):
            yield from _videos_below(folder, f"{name}/{below}")


def _visible(folder: str) -> list[str]:
    return sorted(name for name in g_pathmgr.ls(folder) if not name.startswith("."))


def _videos(names: list[str]) -> list[str]:
    return [name for name in names if name.lower().endswith(VIDEO_SUFFIXES)]


def _read_json_list(path: str, prefix: str) -> Entries:
    paths: list[str] = []
    labels: list[Label] = []
    for place, video, label in _json_items(path):
        paths.append(video)
        labels.append(_label(place, label))
    locations = SourceLocations.of(path, range(1, len(paths) + 1), unit="entry")
    return Entries(path, paths, labels, locations, prefix)


def _label(place: str, value: Any) -> Label:
    if value is None or type(value) is int:
        return value
    if isinstance(value, str):
        return as_label(value)
    raise DataError(f"{place}: the label {str(value)[:80]} is neither a whole number nor a name")


def _json_items(path: str) -> Iterator[tuple[str, str, Any]]:
    """(place for messages, video, label) of every entry; the label is None where there is none."""
    content = read_json(path)
    if isinstance(content, dict):
        for key, value in content.items():
            yield f"{path}: {key!r}", *_entry(f"{path}: {key!r}", key, value)
    elif isinstance(content, list):
        for number, value in enumerate(content, 1):
            yield f"{path}: entry {number}", *_pair(f"{path}: entry {number}", value)
    else:
        raise DataError(f"{path}: expected a list or a mapping of videos, found {type(content).__name__}")


def _entry(place: str, name: str, value: Any) -> tuple[str, Any]:
    """(video, label) of an entry of a mapping."""
    if not isinstance(value, dict):
        return name, value
    if "annotations" not in value:
        return str(value.get("path", name)), value.get("label")
    try:
        start, end = value["annotations"]["segment"]
        return f"{name}_{round(start):06d}_{round(end):06d}.mp4", value["annotations"].get("label")
    except (AttributeError, KeyError, TypeError, ValueError):
        wanted = 'expected annotations with a "segment" of two numbers'
        raise DataError(f"{place}: {wanted}, found {str(value['annotations'])[:80]}") from None


def _pair(place: str, value: Any) -> tuple[str, Any]:
    """(video, label) of an entry of a list."""
    if isinstance(value, str):
        return value, None
    if isinstance(value, dict):
        named = [value[key] for key in ("path", "video_path", "video") if key in value]
        if named and isinstance(named[0], str):
            return named[0], value.get("label")
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return value[0], value[1].get("label") if isinstance(value[1], dict) else value[1]
    raise DataError(f"{place}: expected a path and a label, found {str(value)[:80]}")
