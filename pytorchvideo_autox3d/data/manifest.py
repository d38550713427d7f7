"""Lists of labelled videos, held in a few flat arrays however long they are.

A million Python strings cost some 150 MB in every worker, and touching them un-shares forked memory. A `Manifest` keeps
all paths in one buffer of bytes and the labels in another array, as torch tensors, which processes share.
"""

from __future__ import annotations

import csv
import hashlib
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from iopath.common.file_io import g_pathmgr
from torch import Tensor

from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.files import written_beside

SEPARATORS = ("\t", ",", " ")
# A first line is a header only if it reads like one; any other line whose label is no number is an error.
HEADER_PATHS = {"path", "video", "video_path", "file", "filename", "name"}
HEADER_LABELS = {"label", "labels", "class", "class_id", "category", "target", "y"}
_LINES_SNIFFED = 50
_LABELS = 2**63  # what an int64 holds


@dataclass(frozen=True)
class VideoRecord:
    """One line of a list: the file (the prefix joined), its class, and its place in the list."""

    path: str
    label: int
    index: int


@dataclass(frozen=True, eq=False)
class Places:
    """Where in the user's files the N videos of a manifest stand, for messages.

    Attributes:
        files: the one file of all videos, or a file for each class in the order of their numbers.
        number: int32, N; of the line or entry, from 1.
        unit: "line" or "entry".
    """

    files: tuple[str, ...]
    number: Tensor
    unit: str = "line"

    @classmethod
    def of(cls, files: str | Sequence[str], numbers: Sequence[int], *, unit: str = "line") -> Places:
        """Pack the numbers."""
        files = (files,) if isinstance(files, str) else tuple(files)
        return Places(files, torch.tensor(numbers, dtype=torch.int32), unit)

    def name(self, index: int, label: int) -> str:
        """`file:line`, or `file: entry n`."""
        file = self.files[label] if len(self.files) > 1 else self.files[0]
        number = int(self.number[index])
        return f"{file}:{number}" if self.unit == "line" else f"{file}: {self.unit} {number}"


@dataclass(frozen=True, eq=False)
class Manifest:
    """N labelled videos. Build one with `read_manifest` or `Manifest.from_items`.

    Attributes:
        name: the list's own path, for messages.
        prefix: joined before every relative path.
        path_bytes: uint8; all paths in UTF-8, one after another.
        offset: int64, N + 1; path i is `path_bytes[offset[i]:offset[i + 1]]`.
        label: int64, N.
        classes: the classes' names, where they are known.
        places: where the list has each video, if it is a file of lines or entries.
    """

    name: str
    prefix: str
    path_bytes: Tensor
    offset: Tensor
    label: Tensor
    classes: tuple[str, ...] = ()
    places: Places | None = None

    @classmethod
    def from_items(
        cls,
        items: Iterable[tuple[str, int]],
        *,
        name: str = "<items>",
        prefix: str = "",
        classes: Sequence[str] = (),
        places: Places | None = None,
    ) -> Manifest:
        """Pack (path, label) pairs; raise `DataError` if there are none, or a path can't be one."""
        packed, ends, labels = bytearray(), array("q", [0]), array("q")
        for path, label in items:
            packed += _encoded(path, label, name, places, len(labels))
            ends.append(len(packed))
            labels.append(label)
        if not labels:
            raise DataError(f"{name}: lists no videos")
        return Manifest(
            name=name,
            prefix=prefix,
            path_bytes=torch.frombuffer(packed, dtype=torch.uint8),
            offset=torch.frombuffer(ends, dtype=torch.int64),
            label=torch.frombuffer(labels, dtype=torch.int64),
            classes=tuple(classes),
            places=places,
        )

    def __len__(self) -> int:
        return len(self.label)

    def __iter__(self) -> Iterator[VideoRecord]:
        return (self.record(index) for index in range(len(self)))

    def record(self, index: int) -> VideoRecord:
        """Line `index` of the list, 0 <= index < N; raises IndexError outside."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} lists {len(self)} videos, asked for number {index}")
        return VideoRecord(os.path.join(self.prefix, self.listed(index)), int(self.label[index]), index)

    def listed(self, index: int) -> str:
        """The path of line `index` as the list has it, without the prefix."""
        start, end = self.offset[index : index + 2].tolist()
        return self.path_bytes[start:end].numpy().tobytes().decode("utf8", "surrogateescape")

    def placed(self, index: int, message: str) -> str:
        """`message`, and after it in brackets where the list has the video, as far as that is known."""
        if self.places is None:
            return message
        return f"{message} ({self.places.name(index, int(self.label[index]))})"

    def digest(self) -> str:
        """A hash of the listed paths and labels in their order, by which results say what they were measured on."""
        content = hashlib.sha256(self.offset.numpy().tobytes())
        content.update(self.path_bytes.numpy().tobytes())
        content.update(self.label.numpy().tobytes())
        return content.hexdigest()[:16]

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The class of every video, int64, N."""
        return self.label.numpy()

    @property
    def paths(self) -> Paths:
        """The file of every video (the prefix joined), made on request."""
        return Paths(self)

    def subset(self, indices: Sequence[int]) -> Manifest:
        """The videos at `indices`, in that order; they are numbered anew from 0."""
        items = ((self.listed(i), int(self.label[i])) for i in indices)
        return Manifest.from_items(
            items, name=self.name, prefix=self.prefix, classes=self.classes, places=self._places_of(indices)
        )

    def _places_of(self, indices: Sequence[int]) -> Places | None:
        if self.places is None:
            return None
        return replace(self.places, number=self.places.number[torch.as_tensor(indices, dtype=torch.int64)])


def _encoded(path: str, label: int, name: str, places: Places | None, index: int) -> bytes:
    try:
        encoded = path.encode("utf8", "surrogateescape")
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        place = name if places is None else places.name(index, label)
        raise DataError(f"{place}: {path[:80]!r} can't be the name of a file (is the list saved as UTF-8?)")
    return encoded


class Paths(Sequence[str]):
    """A manifest's paths as a sequence that holds no strings."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def __len__(self) -> int:
        return len(self._manifest)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._manifest.record(index if index >= 0 else len(self) + index).path


def read_manifest(
    path: str, *, path_prefix: str = "", num_classes: int | None = None, classes: Sequence[str] = ()
) -> Manifest:
    """Read a list in Kinetics format: a video's path and its label on every line.

    The separator (tab, comma or space) is sniffed; the label is the last field, so unquoted paths may hold spaces;
    a path may stand in double quotes; one header line ("path label") and empty lines are passed over.

    Args:
        path: the list, a local file or an address that iopath knows.
        path_prefix: joined before every path that is not absolute.
        num_classes: labels must lie in 0..num_classes-1; None asks only that they are not negative.
        classes: the names of the classes in the order of their numbers; labels may then be names too.

    Raises:
        DataError: the list is missing or empty, or a line (named as file:line) does not parse or has a wrong label.
    """
    lines = read_lines(path)
    numbers = {name: number for number, name in enumerate(classes)}
    separator = _sniff_separator(lines, numbers)
    if lines and _split(lines[0][1], separator, numbers) is None and _is_header(lines[0][1]):
        del lines[0]
    items = _parse(path, lines, separator, num_classes, numbers)
    places = Places.of(path, [number for number, _ in lines])
    return Manifest.from_items(items, name=path, prefix=path_prefix, classes=classes, places=places)


def write_manifest(path: str | Path, manifest: Manifest, indices: Sequence[int] | None = None) -> None:
    """Write a list, or the videos at `indices` of it, that `read_manifest` reads back the same; no prefix is added."""
    chosen = range(len(manifest)) if indices is None else indices
    lines = (f"{_quoted(manifest.listed(i))} {int(manifest.label[i])}\n" for i in chosen)
    with written_beside(path) as beside:
        beside.write_bytes("".join(lines).encode("utf8", "surrogateescape"))


def refuse_to_replace(path: str | Path, *lists: Manifest) -> None:
    """Raise `DataError` if `path`, which is about to be written, is one of the lists that were read."""
    if os.path.realpath(path) in {os.path.realpath(manifest.name) for manifest in lists}:
        raise DataError(f"{path}: is itself a list that is read, and would be written over; choose another folder")


def _quoted(path: str) -> str:
    return '"' + path.replace('"', '""') + '"' if path.startswith('"') else path


def read_lines(path: str) -> list[tuple[int, str]]:
    """The lines that say something, with their numbers from 1."""
    try:
        with g_pathmgr.open(path, "r", encoding="utf-8-sig", errors="surrogateescape") as file:
            return [(number, line.strip()) for number, line in enumerate(file, 1) if line.strip()]
    except FileNotFoundError:
        raise DataError(f"{path}: no such list of videos") from None
    except OSError as error:
        raise DataError(f"{path}: can't read the list of videos: {error.strerror or error}") from None


def _sniff_separator(lines: Sequence[tuple[int, str]], numbers: Mapping[str, int]) -> str:
    """The separator that splits most of the first lines into a path and an integer."""
    sample = [line for _, line in lines[:_LINES_SNIFFED]]

    def score(separator: str) -> int:
        return sum(_split(line, separator, numbers) is not None for line in sample)

    return max(SEPARATORS, key=score)


def _split(line: str, separator: str, numbers: Mapping[str, int]) -> tuple[str, int] | None:
    """(path, label) of a line, or None where it does not parse; `numbers` are those of the classes' names."""
    path, found, label = line.rpartition(separator)
    path = path.strip()
    if path.startswith('"'):
        fields = next(csv.reader([path], delimiter=separator), [])
        path = fields[0] if len(fields) == 1 else ""
    if not (found and path):
        return None
    label = label.strip().strip('"')
    try:
        return path, numbers[label] if label in numbers else int(label)
    except ValueError:
        return None


def _parse(
    name: str,
    lines: Sequence[tuple[int, str]],
    separator: str,
    num_classes: int | None,
    numbers: Mapping[str, int],
) -> Iterator[tuple[str, int]]:
    for number, line in lines:
        item = _split(line, separator, numbers)
        if item is None:
            raise DataError(f"{name}:{number}: expected a path and an integer label, found {line[:80]!r}")
        check_label(item[1], num_classes, place=f"{name}:{number}")
        yield item


def check_label(label: int, num_classes: int | None, *, place: str) -> None:
    """Raise `DataError` naming `place` unless the label is one of `num_classes`, or any from 0 where that is None."""
    if not 0 <= label < (_LABELS if num_classes is None else num_classes):
        allowed = "0 or more" if num_classes is None else f"0 to {num_classes - 1}"
        raise DataError(f"{place}: label {label} is out of range, expected {allowed}")


def _is_header(line: str) -> bool:
    fields = line.replace(",", " ").replace('"', " ").lower().split()
    return fields[0] in HEADER_PATHS or fields[-1] in HEADER_LABELS
