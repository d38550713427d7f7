"""Lists of labelled videos, held in a few flat arrays however long they are.

A million Python strings cost some 150 MB in every worker, and touching them un-shares forked memory. A `Manifest` keeps
all paths in one buffer of bytes and the labels in another array, as torch tensors, which processes share.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pytorchvideo_autox3d.data.classes import UNNAMED, ClassNames
from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.files import atomic_write

NO_LABEL = -1


@dataclass(frozen=True)
class VideoRecord:
    """One line of a list: the file (the prefix joined), its class (NO_LABEL without one), its place in the list."""

    path: str
    label: int
    index: int


@dataclass(frozen=True, eq=False)
class SourceLocations:
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
    def of(cls, files: str | Sequence[str], numbers: Sequence[int], *, unit: str = "line") -> SourceLocations:
        """Pack the numbers of the lines or entries.

        Args:
            files, unit: as the attributes.
            numbers: from 1, one for each video.
        """
        files = (files,) if isinstance(files, str) else tuple(files)
        return SourceLocations(files, torch.tensor(numbers, dtype=torch.int32), unit)

    def name(self, index: int, label: int) -> str:
        """Where video `index`, of class `label`, stands: `file:line`, or `file: entry n`."""
        file = self.files[label] if len(self.files) > 1 else self.files[0]
        number = int(self.number[index])
        return f"{file}:{number}" if self.unit == "line" else f"{file}: {self.unit} {number}"


@dataclass(frozen=True, eq=False)
class Manifest:
    """N videos, all of them with a class or all without. Build one with `read_list` or `Manifest.from_items`.

    Attributes:
        name: the list's own path, for messages.
        prefix: joined before every relative path.
        path_bytes: uint8; all paths in UTF-8, one after another.
        offset: int64, N + 1; path i is `path_bytes[offset[i]:offset[i + 1]]`.
        label: int64, N; NO_LABEL throughout in a list without labels.
        classes: the classes' names, where they are known.
        locations: where the list has each video, if it is a file of lines or entries.
    """

    name: str
    prefix: str
    path_bytes: Tensor
    offset: Tensor
    label: Tensor
    classes: ClassNames = UNNAMED
    locations: SourceLocations | None = None

    @classmethod
    def from_items(
        cls,
        items: Iterable[tuple[str, int]],
        *,
        name: str = "<items>",
        prefix: str = "",
        classes: ClassNames = UNNAMED,
        locations: SourceLocations | None = None,
    ) -> Manifest:
        """Pack (path, label) pairs.

        Args:
            items: (path, label) pairs; the label is NO_LABEL where there is none.
            name: the list's name in messages.
            prefix: joined before every path.
            classes: the names of the labels, where there are names.
            locations: where in the user's files each item stands, where that is known.

        Raises:
            DataError: there are no items, or a path can't be the name of a file.
        """
        packed, ends, labels = bytearray(), array("q", [0]), array("q")
        for path, label in items:
            packed += _encoded(path, label, name, locations, len(labels))
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
            classes=classes,
            locations=locations,
        )

    def __len__(self) -> int:
        return len(self.label)

    def __iter__(self) -> Iterator[VideoRecord]:
        return (self.record(index) for index in range(len(self)))

    def record(self, index: int) -> VideoRecord:
        """Video `index` of the list.

        Raises:
            IndexError: it is outside 0..N-1.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} lists {len(self)} videos, asked for number {index}")
        return VideoRecord(os.path.join(self.prefix, self.listed(index)), int(self.label[index]), index)

    def listed(self, index: int) -> str:
        """The path of line `index` as the list has it, without the prefix."""
        start, end = self.offset[index : index + 2].tolist()
        return self.path_bytes[start:end].numpy().tobytes().decode("utf8", "surrogateescape")

    def with_location(self, index: int, message: str) -> str:
        """`message`, followed in brackets by where the video stands in the list, where that is known."""
        if self.locations is None:
            return message
        return f"{message} ({self.locations.name(index, int(self.label[index]))})"

    def digest(self) -> str:
        """A hash of the listed paths and labels in their order, kept with results to say what they were measured on."""
        content = hashlib.sha256(self.offset.numpy().tobytes())
        content.update(self.path_bytes.numpy().tobytes())
        content.update(self.label.numpy().tobytes())
        return content.hexdigest()[:16]

    @property
    def labelled(self) -> bool:
        """Whether the list has labels; without them a test gives predictions and no accuracy."""
        return bool(self.label[0] != NO_LABEL)

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
            items, name=self.name, prefix=self.prefix, classes=self.classes, locations=self._locations_of(indices)
        )

    def _locations_of(self, indices: Sequence[int]) -> SourceLocations | None:
        if self.locations is None:
            return None
        return replace(self.locations, number=self.locations.number[torch.as_tensor(indices, dtype=torch.int64)])


def _encoded(path: str, label: int, name: str, locations: SourceLocations | None, index: int) -> bytes:
    try:
        encoded = path.encode("utf8", "surrogateescape")
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        place = name if locations is None else locations.name(index, label)
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


def write_manifest(path: str | Path, manifest: Manifest, indices: Sequence[int] | None = None) -> None:
    """Write a list, or the videos at `indices` of it, that `read_list` reads back the same; no prefix is added.

    Classes are written as their numbers.

    Raises:
        AutoX3DError: the file can't be written.
    """
    chosen = range(len(manifest)) if indices is None else indices
    labels = [f" {label}" for label in manifest.label.tolist()] if manifest.labelled else [""] * len(manifest)
    lines = (f"{_quoted(manifest.listed(i))}{labels[i]}\n" for i in chosen)
    with atomic_write(path) as beside:
        beside.write_bytes("".join(lines).encode("utf8", "surrogateescape"))


def refuse_to_replace(path: str | Path, *lists: Manifest) -> None:
    """Check that `path`, which is about to be written, is none of the lists that were read, nor their classes' file.

    Raises:
        DataError: it is one of them.
    """
    read = [name for manifest in lists for name in (manifest.name, manifest.classes.source) if name]
    if os.path.realpath(path) in map(os.path.realpath, read):
        raise DataError(f"{path}: is itself a list that is read, and would be written over; choose another folder")


def _quoted(path: str) -> str:
    return '"' + path.replace('"', '""') + '"' if path.startswith('"') else path
