"""Lists as they stand in their files, and how their labels become numbers.

A label in a list is a whole number, the name of a class, or absent. Names are numbered by a `ClassNames`; whole numbers
are themselves, also where the names of classes are numerals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytorchvideo_autox3d.data.classes import CLASSES_FILE, ClassNames
from pytorchvideo_autox3d.data.manifest import NO_LABEL, Manifest, SourceLocations
from pytorchvideo_autox3d.errors import DataError

Label = int | str | None
VIDEO_SUFFIXES = (
    ".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv", ".ts", ".mts",
    ".m2ts",
)  # fmt: skip
_LABELS = 2**63  # what an int64 holds
_WHOLE = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Entries:
    """The N videos of one list, with their labels as they stand there.

    Attributes:
        name: the list's path.
        paths, labels: N of each.
        locations: where in the list each stands; None in a folder of class folders.
        prefix: joined before every relative path.
    """

    name: str
    paths: Sequence[str]
    labels: Sequence[Label]
    locations: SourceLocations | None = None
    prefix: str = ""

    @property
    def class_names(self) -> set[str]:
        """The names among the labels."""
        return {label for label in self.labels if isinstance(label, str)}

    @property
    def has_numbers(self) -> bool:
        """Whether a label is a whole number; a name beside it is then no class, unless a classes.json has it."""
        return any(isinstance(label, int) for label in self.labels)

    def place_of_number(self) -> str:
        """Where the first label that is a whole number stands, for messages; there must be one."""
        return self._place(next(index for index, label in enumerate(self.labels) if isinstance(label, int)))

    def numbered(self, classes: ClassNames, *, num_classes: int | None = None) -> Manifest:
        """The list with every label as a number.

        Args:
            classes: the numbers of names; empty where all labels are numbers or absent.
            num_classes: how many classes there may be; None takes any number.

        Raises:
            DataError: the list is empty; a label is missing beside others, or is a name that `classes` lacks, or is not
                one of `num_classes`. Names the file, and the line, the entry or the folder.
        """
        if not classes:
            self._check_names_alone()
        if self.class_names and num_classes is not None and len(classes) > num_classes:
            found = f"has {len(classes)} classes, expected {num_classes} or fewer (MODEL.NUM_CLASSES)"
            raise DataError(f"{self.name}: {found}: {classes.name(num_classes)!r}")
        items = zip(self.paths, self._numbers(classes, num_classes), strict=True)
        return Manifest.from_items(items, name=self.name, prefix=self.prefix, classes=classes, locations=self.locations)

    def _check_names_alone(self) -> None:
        """Refuse numbers where most labels are names: a class called by a number would be taken for that number.

        Raises:
            DataError: there is such a number; names the first.
        """
        names = sum(isinstance(label, str) for label in self.labels)
        if self.has_numbers and 2 * names > len(self.labels):
            raise DataError(
                f"{self.place_of_number()}: the label is a number, but most of the list's are names: a class can't be "
                f"called a number beside them; give it another name, or write every class's number"
            )

    def _numbers(self, classes: ClassNames, num_classes: int | None) -> Iterator[int]:
        without = all(label is None for label in self.labels)
        highest = _LABELS if num_classes is None else num_classes
        for index, label in enumerate(self.labels):
            if without:
                yield NO_LABEL
            elif isinstance(label, int):
                if not 0 <= label < highest:  # naming a place takes longer than all the rest of a line
                    check_label(label, num_classes, place=self._place(index))
                yield label
            elif label is None:
                raise DataError(f"{self._place(index)}: has no label, as others in the list have")
            elif label in classes:
                yield classes.number(label)
            else:
                raise DataError(self._unknown(index, label, classes))

    def _unknown(self, index: int, name: str, classes: ClassNames) -> str:
        """What is wrong with a name that no class has."""
        if self.locations is None:
            return f"{self.name}: the folder {name!r} is no class of {classes.source}"
        why = f"is no class of {classes.source}" if classes else f"is a name, and no {CLASSES_FILE} says its number"
        return f"{self._place(index)}: the label {name!r} {why}"

    def _place(self, index: int) -> str:
        """The file and the line, or the entry and its path; the path itself in a folder of class folders."""
        if self.locations is None:
            return f"{self.name}/{self.paths[index]}"
        place = self.locations.name(index, 0)
        return f"{place}: {self.paths[index][:80]!r}" if self.locations.unit == "entry" else place


def as_label(text: str) -> Label:
    """A label from its text in a file: a whole number, a name, or None for an empty text."""
    return int(text) if _WHOLE.fullmatch(text) else text or None


def is_number(text: str) -> bool:
    """Whether a text reads as a number of any kind, which is not taken for the name of a class."""
    return _NUMBER.fullmatch(text) is not None


def check_label(label: int, num_classes: int | None, *, place: str) -> None:
    """Check that a label is in range.

    Args:
        label: the class.
        num_classes: the label must be below it; None takes any label from 0 on.
        place: where the label stands, for the message.

    Raises:
        DataError: it is out of range.
    """
    if not 0 <= label < (_LABELS if num_classes is None else num_classes):
        allowed = "0 or more" if num_classes is None else f"0 to {num_classes - 1} (MODEL.NUM_CLASSES)"
        raise DataError(f"{place}: label {label} is out of range, expected {allowed}")
