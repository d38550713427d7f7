"""One architecture of a space: frozen, hashable, validated, and to and from self-contained JSON."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simplejson
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.plain_data import parse_json
from pytorchvideo_autox3d.space.loading import (
    BUILTIN_ATTENTIONS,
    check_keys,
    load_space,
    space_from_dict,
    space_to_dict,
)
from pytorchvideo_autox3d.space.search_space import SearchSpace
from pytorchvideo_autox3d.space.spec import GroupChoice, GroupSpec, format_value

_CHOICE_KEYS = ("kernel", "channels", "expansion", "attention")


@dataclass(frozen=True, init=False)
class Architecture:
    """One choice for every group of a space.

    Args:
        groups: the choice of each group, in the space's order.
        space: the space, or the name of a built-in one.
    Raises:
        SpaceError: the number of groups is wrong or a value is no candidate; names the group (counted from 1)
            and the key.
    """

    groups: tuple[GroupChoice, ...]
    space: SearchSpace

    def __init__(self, groups: Iterable[GroupChoice], space: SearchSpace | str = "table2") -> None:
        object.__setattr__(self, "groups", tuple(groups))
        object.__setattr__(self, "space", load_space(space) if isinstance(space, str) else space)
        if len(self.groups) != len(self.space.groups):
            raise SpaceError(
                f"space {self.space.name!r} has {len(self.space.groups)} groups, the architecture {len(self.groups)}"
            )
        for number, (spec, choice) in enumerate(zip(self.space.groups, self.groups, strict=True), start=1):
            _check_group(number, spec, choice)

    @classmethod
    def from_indices(cls, space: SearchSpace, indices: Sequence[int]) -> Architecture:
        """Build the architecture that takes candidate `indices[d]` at decision d of the space.

        Args:
            space: where the candidates come from.
            indices: one 0-based candidate index for each decision, in the order of `space.decisions`.
        Raises:
            SpaceError: the number of indices differs from that of decisions, or one is out of range.
        """
        decisions = space.decisions
        if len(indices) != len(decisions):
            raise SpaceError(f"space {space.name!r} has {len(decisions)} decisions, got {len(indices)} indices")
        fields: list[dict] = [{} for _ in space.groups]
        for index, decision in zip(indices, decisions, strict=True):
            if not 0 <= index < len(decision.candidates):
                raise SpaceError(
                    f"group {decision.group + 1}: {decision.field} index {index} is not below "
                    f"{len(decision.candidates)}"
                )
            fields[decision.group][decision.field] = decision.candidates[index]
        return cls((GroupChoice(**choice) for choice in fields), space)

    @classmethod
    def widest(cls, space: SearchSpace, *, with_attention: bool = False) -> Architecture:
        """Take the most channels, the highest expansion and the largest kernel in every group.

        A supernet's attention blocks begin as identity and learn beside the rest, so the widest architecture has none
        by default: "none" where that is a candidate, else the group's first attention.

        Args:
            space: the space to choose from.
            with_attention: take the last attention candidate of every group instead.
        """
        first = ["none" if "none" in group.attentions else group.attentions[0] for group in space.groups]
        attentions = [group.attentions[-1] for group in space.groups] if with_attention else first
        choices = (
            GroupChoice(
                kernel=max(group.kernels, key=lambda kernel: (kernel[0] * kernel[1] ** 2, kernel)),
                channels=max(group.channels),
                expansion=max(group.expansions),
                attention=attention,
            )
            for group, attention in zip(space.groups, attentions, strict=True)
        )
        return cls(choices, space)

    @classmethod
    def narrowest(cls, space: SearchSpace) -> Architecture:
        """Take the fewest channels, the lowest expansion and the smallest kernel in every group.

        The attention is "none" where that is a candidate, else the group's first.
        """
        choices = (
            GroupChoice(
                kernel=min(group.kernels, key=lambda kernel: (kernel[0] * kernel[1] ** 2, kernel)),
                channels=min(group.channels),
                expansion=min(group.expansions),
                attention="none" if "none" in group.attentions else group.attentions[0],
            )
            for group in space.groups
        )
        return cls(choices, space)

    @property
    def indices(self) -> tuple[int, ...]:
        """The candidate index of every decision: the inverse of `from_indices`."""
        return tuple(
            decision.candidates.index(getattr(self.groups[decision.group], decision.field))
            for decision in self.space.decisions
        )

    @property
    def rows(self) -> list[list[Any]]:
        """[[t, s], channels, expansion, attention] of each group, the form that a config's AUTOX3D.GROUPS has."""
        return [[list(one.kernel), one.channels, one.expansion, one.attention] for one in self.groups]

    def one_line(self) -> str:
        """Kernel/channels/expansion/attention of each group on a single line, for a log."""
        return "; ".join(
            f"{format_value(one.kernel)}/{one.channels}/{one.expansion:g}/{one.attention}" for one in self.groups
        )

    def describe(self) -> str:
        """A table as text, with one line for each group: its number, kernel, channels, expansion and attention."""
        lines = [
            f"{number:>2}  {format_value(choice.kernel)}  {choice.channels:>3} channels  "
            f"expansion {choice.expansion:<4g}  {choice.attention}"
            for number, choice in enumerate(self.groups, start=1)
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """The architecture as plain data for JSON or yaml, which `from_dict` reads back.

        Returns:
            "groups", one dictionary for each group, and "space": a built-in space's name, or any other space in full.
        """
        built_in = self.space.name in BUILTIN_ATTENTIONS and self.space == load_space(self.space.name)
        groups = [
            {
                "kernel": list(choice.kernel),
                "channels": choice.channels,
                "expansion": choice.expansion,
                "attention": choice.attention,
            }
            for choice in self.groups
        ]
        return {"space": self.space.name if built_in else space_to_dict(self.space), "groups": groups}

    @classmethod
    def from_dict(cls, data: object) -> Architecture:
        """Read what `to_dict` returned; without "space" the space is "table2".

        Raises:
            SpaceError: a key is missing, unknown or of the wrong type, or a value lies outside the space.
        """
        top = check_keys("the architecture", data, required=("groups",), optional=("space",))
        space = _space_from(top.get("space", "table2"))
        if not isinstance(top["groups"], list):
            raise SpaceError(f"groups: expected a list, got {type(top['groups']).__name__}")
        return cls((_choice_from(n, group) for n, group in enumerate(top["groups"], start=1)), space)

    def to_json(self, path: str | Path) -> None:
        """Write `to_dict` as JSON, beside the target first, so that a stopped write leaves no half-written file."""
        write_json(path, self.to_dict())

    @classmethod
    def from_json(cls, path: str | Path) -> Architecture:
        """Read an architecture from a file that `to_json` wrote.

        Raises:
            SpaceError: the file is missing, no JSON, or not an architecture of its space; names the file and the line,
                or the group and the key.
        """
        if not g_pathmgr.isfile(str(path)):
            raise SpaceError(f"no architecture file {str(path)!r}")
        try:
            with g_pathmgr.open(str(path), "r", encoding="utf8") as file:
                data = parse_json(file.read())
        except simplejson.JSONDecodeError as error:
            raise SpaceError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
        except UnicodeDecodeError as error:
            raise SpaceError(f"{path}: not JSON: {error.reason}") from error
        try:
            return cls.from_dict(data)
        except SpaceError as error:
            raise SpaceError(f"{path}: {error}") from error


SearchSpace.architecture_type = Architecture


def _check_group(number: int, spec: GroupSpec, choice: GroupChoice) -> None:
    """Raise `SpaceError`, naming the group (counted from 1), where a choice is no candidate of it."""
    try:
        spec.check(choice)
    except SpaceError as error:
        raise SpaceError(f"group {number}: {error}") from error


def _space_from(value: object) -> SearchSpace:
    """The space that a file holds in full or names; `SpaceError` where it is broken or no built-in space."""
    if not isinstance(value, str):
        try:
            return space_from_dict(value)
        except SpaceError as error:
            raise SpaceError(f"space: {error}") from error
    # A file must not make the reader open another one: names of built-in spaces only.
    if value not in BUILTIN_ATTENTIONS:
        near = difflib.get_close_matches(value, BUILTIN_ATTENTIONS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"built-in: {', '.join(BUILTIN_ATTENTIONS)}"
        raise SpaceError(f"space: no built-in space named {value!r}; {hint}")
    return load_space(value)


def _choice_from(number: int, data: object) -> GroupChoice:
    """The choice that a file holds for one group; `SpaceError` where a key is missing or a value of the wrong type."""
    fields = check_keys(f"group {number}", data, required=_CHOICE_KEYS)
    kernel, channels, expansion, attention = (fields[key] for key in _CHOICE_KEYS)
    expected = {
        "kernel": isinstance(kernel, list) and len(kernel) == 2 and all(type(k) is int for k in kernel),
        "channels": type(channels) is int,
        "expansion": type(expansion) in (int, float),
        "attention": isinstance(attention, str),
    }
    for key, valid in expected.items():
        if not valid:
            raise SpaceError(f"group {number}: {key}: {fields[key]!r} is of the wrong type")
    return GroupChoice(tuple(kernel), channels, expansion, attention)
