"""The numbers of classes: one numbering for all lists of a data set, kept with the networks that are trained on it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.data.json_file import read_json
from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.files import write_json

CLASSES_FILE = "classes.json"
_SPARE = "unnamed class"  # of an output that no class of the lists has; nothing that a user would call a class


@dataclass(frozen=True)
class ClassNames:
    """The names of the classes in the order of their numbers; empty where only numbers are known.

    Attributes:
        names: the name of class 0, of class 1, ...; each once.
        source: the file or folder that they are from, for messages.

    Raises:
        DataError: two classes have the same name.
    """

    names: tuple[str, ...] = ()
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        if len(self._numbers) < len(self.names):
            twice = next(name for number, name in enumerate(self.names) if self._numbers[name] != number)
            raise DataError(f"{self.source}: the name {twice!r} stands there twice")

    @classmethod
    def in_order(cls, names: Iterable[str], source: str) -> ClassNames:
        """Number names by their sorted order; where all are whole numbers, by their value (2 before 10)."""
        found = set(names)
        numeric = all(name.isascii() and name.isdecimal() for name in found)
        return cls(tuple(sorted(found, key=lambda name: (int(name) if numeric else 0, name))), source)

    @classmethod
    def from_numbers(cls, numbers: Mapping[str, Any], source: str) -> ClassNames:
        """Take the numbering of a mapping {name: number}; numbers may be strings, as in Something-Something.

        Raises:
            DataError: the numbers are not 0 to N - 1, each once; names the first that breaks this.
        """
        names: dict[int, str] = {}
        for name, value in numbers.items():
            number = int(value) if isinstance(value, str) and value.isdecimal() else value
            if type(number) is not int or not 0 <= number < len(numbers) or number in names:
                raise DataError(
                    f"{source}: {name!r}: the number {value!r} is wrong, expected 0 to {len(numbers) - 1}, each once"
                )
            names[number] = name
        return cls(tuple(names[number] for number in sorted(names)), source)

    @classmethod
    def read(cls, path: str) -> ClassNames:
        """Read a classes.json: a list of names, or {name: number}.

        Raises:
            DataError: it is missing, not JSON or neither of these; names the file.
        """
        content = read_json(path)
        if isinstance(content, dict):
            return cls.from_numbers(content, path)
        if isinstance(content, list) and all(isinstance(name, str) for name in content):
            return cls(tuple(content), path)
        raise DataError(f"{path}: expected a list of names, or names with the numbers 0 to their count less one")

    @classmethod
    def find(cls, *folders: str) -> ClassNames:
        """The classes.json of the first folder that has one; no names where none has.

        Raises:
            DataError: the file has a fault.
        """
        paths = [os.path.join(folder, CLASSES_FILE) for folder in folders]
        return next((cls.read(path) for path in paths if g_pathmgr.isfile(path)), cls())

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def number(self, name: str) -> int:
        """The number of a class.

        Raises:
            KeyError: no class has that name.
        """
        return self._numbers[name]

    def name(self, number: int) -> str:
        """The name of class `number`, or "class 7" where it has none."""
        return self.names[number] if 0 <= number < len(self.names) else f"class {number}"

    def padded(self, num_classes: int) -> tuple[str, ...]:
        """A name for each output of a network of `num_classes`; an empty tuple where no names are known.

        Outputs that no class has get placeholders, which `unpadded` removes.
        """
        spare = (f"{_SPARE} {number}" for number in range(len(self.names), num_classes))
        return (*self.names, *spare) if self.names else ()

    def check_agrees(self, other: ClassNames) -> None:
        """Check that a number means the same class here and in `other`, where both have names.

        Raises:
            DataError: a class differs; names both sources.
        """
        if not (self.names and other.names):
            return
        for number in range(max(len(self), len(other))):
            here, there = self.name(number), other.name(number)
            if here != there:
                raise DataError(
                    f"{self.source}: class {number} is {here!r}, but {there!r} in {other.source}: the classes differ"
                )

    def check_numbered_alike(self, trained: ClassNames, checkpoint: str) -> None:
        """Check that a list and a network both have names of classes, or both have numbers alone.

        Where a list numbered its names itself and the network was trained on numbers, or the reverse, nothing says
        that a number means the same to both. A classes.json settles it, as it gives the number of every name.

        Args:
            trained: the network's classes.
            checkpoint: the network's file, for the message.

        Raises:
            DataError: one of them has names and the other has not.
        """
        if self.names and not trained.names and not self.source.endswith(CLASSES_FILE):
            raise DataError(
                f"{self.source}: its classes are names, and {checkpoint} was trained on numbers: write the name of "
                f"each number to a {CLASSES_FILE} beside the list"
            )
        if trained.names and not self.names:
            raise DataError(
                f"{checkpoint} was trained on names, and the list has numbers: put its {CLASSES_FILE} beside the list"
            )

    @classmethod
    def unpadded(cls, names: Sequence[str], source: str) -> ClassNames:
        """The reverse of `padded`: `names` without the placeholders at the end."""
        known = list(names)
        while known and known[-1] == f"{_SPARE} {len(known) - 1}":
            known.pop()
        return cls(tuple(known), source)

    def to_dict(self) -> dict[str, int]:
        """{name: number}, in a form that `read` accepts."""
        return dict(self._numbers)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write `classes.json` in a folder; without names nothing is written.

        Raises:
            AutoX3DError: the file can't be written.
        """
        if self.names:
            write_json(os.path.join(folder, CLASSES_FILE), self.to_dict())

    def write_beside(self, path: str | os.PathLike[str]) -> None:
        """Write `classes.json` beside the list `path`, whose labels are numbers, unless there is one already."""
        folder = os.path.dirname(os.fspath(path))
        if not g_pathmgr.exists(os.path.join(folder, CLASSES_FILE)):
            self.write(folder)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}


UNNAMED = ClassNames()
"""Classes of which only the numbers are known."""
