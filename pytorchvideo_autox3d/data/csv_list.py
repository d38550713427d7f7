"""Lists in Kinetics' format: a video's path and its label on every line."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.data.entries import VIDEO_SUFFIXES, Entries, Label, as_label, is_number
from pytorchvideo_autox3d.data.manifest import SourceLocations
from pytorchvideo_autox3d.errors import DataError, NoListError

SEPARATORS = ("\t", ",", " ")
# A first line is a header only if it reads like one.
HEADER_PATHS = {"path", "video", "video_path", "file", "filename", "name"}
HEADER_LABELS = {"label", "labels", "class", "class_id", "category", "target", "y"}
_LINES_SNIFFED = 50
# A path up to its last suffix of a video, then the name of a class, which may hold spaces.
_VIDEO = "|".join(suffix.removeprefix(".") for suffix in VIDEO_SUFFIXES)
_PATH_AND_NAME = {
    separator: re.compile(rf'((?:"(?:[^"]|"")+\.(?:{_VIDEO})")|.+\.(?:{_VIDEO})){separator}\s*(\S.*)', re.IGNORECASE)
    for separator in SEPARATORS
}


def read_csv(path: str, *, prefix: str = "", most: int | None = None) -> Entries:
    """Read a list that has a path, a separator and a label on every line, or paths alone.

    The separator (tab, comma or space) is found from the first lines. The label is the last field, so unquoted paths
    may hold spaces. A path or a name may stand in double quotes; one header line ("path label") and empty lines are
    skipped. A label is a whole number, or a name where the path before it ends like a video's (.mp4, ...). A line that
    itself ends like a video's path has no label.

    Args:
        path: the list, a local file or an address that iopath knows.
        prefix: joined before every relative path.
        most: read only the first so many lines that are not empty; None reads all.

    Raises:
        DataError: the list is missing, or a line (named as file:line) does not parse.
    """
    lines = read_lines(path)[:most]
    separator = _sniff_separator([line for _, line in lines[:_LINES_SNIFFED]])
    if lines and _is_header(lines[0][1], separator):
        del lines[0]
    paths: list[str] = []
    labels: list[Label] = []
    for number, line in lines:
        item = _split(line, separator)
        if item is None:
            raise DataError(f"{path}:{number}: expected a path and a label, found {line[:80]!r}")
        paths.append(item[0])
        labels.append(item[1])
    return Entries(path, paths, labels, SourceLocations.of(path, [number for number, _ in lines]), prefix)


def read_lines(path: str) -> list[tuple[int, str]]:
    """The lines of a list that are not empty, stripped, with their numbers from 1.

    Raises:
        NoListError: there is no such file.
        DataError: it can't be read.
    """
    try:
        with g_pathmgr.open(path, "r", encoding="utf-8-sig", errors="surrogateescape") as file:
            return [(number, line.strip()) for number, line in enumerate(file, 1) if line.strip()]
    except FileNotFoundError:
        raise NoListError(f"{path}: no such list of videos") from None
    except OSError as error:
        raise DataError(f"{path}: can't read the list of videos: {error.strerror or error}") from None


def _sniff_separator(sample: Sequence[str]) -> str:
    """The separator that splits most lines into a path and a label."""

    def score(separator: str) -> int:
        items = [item for line in sample if (item := _split(line, separator))]
        return sum(1 if label is None else 2 for _, label in items)

    return max(SEPARATORS, key=score)


def _split(line: str, separator: str) -> tuple[str, Label] | None:
    """(path, label) of a line, the label None where there is none; None where the line does not parse."""
    path, found, text = line.rpartition(separator)
    label = as_label(text.strip().strip('"'))
    if not (found and isinstance(label, int)):
        named = _PATH_AND_NAME[separator].fullmatch(line)
        if named is None:
            alone = _unquoted(line.rstrip(separator), separator)
            return (alone, None) if alone.lower().endswith(VIDEO_SUFFIXES) else None
        path, text = named[1], named[2].strip()
        label = as_label(text.strip('"'))
        if not text.startswith('"') and _is_no_name(text, separator):
            return None
    path = _unquoted(path.strip(), separator)
    return (path, label) if path and label is not None else None


def _is_no_name(text: str, separator: str) -> bool:
    """Whether what follows a path is more columns than one, or a number that is not whole."""
    return is_number(text.split(separator)[0]) or (separator != " " and separator in text)


def _unquoted(path: str, separator: str) -> str:
    if not path.startswith('"'):
        return path
    fields = next(csv.reader([path], delimiter=separator), [])
    return fields[0] if len(fields) == 1 else ""


def _is_header(line: str, separator: str) -> bool:
    item = _split(line, separator)
    if item is not None and (isinstance(item[1], int) or item[0].lower().endswith(VIDEO_SUFFIXES)):
        return False
    fields = line.replace(",", " ").replace('"', " ").lower().split()
    return bool(fields) and (fields[0] in HEADER_PATHS or fields[-1] in HEADER_LABELS)
