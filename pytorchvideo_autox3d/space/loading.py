"""Spaces from yaml, from plain dictionaries, and the built-in ones by name."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.plain_data import parse_yaml
from pytorchvideo_autox3d.space.search_space import SearchSpace
from pytorchvideo_autox3d.space.spec import GroupSpec, HeadSpec, StemSpec

# With {none, glore} Table 2 has 2.8e30 architectures; the paper's 2e32 needs Non-local as well.
BUILTIN_ATTENTIONS = {"table2": ("none", "glore"), "table2-nonlocal": ("none", "glore", "nonlocal")}
_TABLE2_PATH = Path(__file__).with_name("table2.yaml")
_GROUP_KEYS = ("channels", "kernels", "expansions", "attentions", "blocks", "stride")


def load_space(name_or_path: str | Path) -> SearchSpace:
    """Return the built-in space of this name ("table2", "table2-nonlocal"), or the one in this yaml file.

    Raises:
        SpaceError: there is no such name or file, the yaml is unsafe or broken, or a key is missing, unknown or wrong;
            one line that names the file, the group (counted from 1) and the key.
    """
    if str(name_or_path) in BUILTIN_ATTENTIONS:
        return _builtin(str(name_or_path))
    return _from_yaml(str(name_or_path))


@functools.cache
def _builtin(name: str) -> SearchSpace:
    table2 = _from_yaml(str(_TABLE2_PATH))
    attentions = BUILTIN_ATTENTIONS[name]
    groups = tuple(dataclasses.replace(group, attentions=attentions) for group in table2.groups)
    return dataclasses.replace(table2, name=name, groups=groups)


def _from_yaml(path: str) -> SearchSpace:
    """Read a yaml file; `SpaceError` names the file, and the line or the key at fault."""
    if not g_pathmgr.isfile(path):
        near = difflib.get_close_matches(path, BUILTIN_ATTENTIONS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"built-in: {', '.join(BUILTIN_ATTENTIONS)}"
        raise SpaceError(f"no space and no yaml file named {path!r}; {hint}")
    try:
        with g_pathmgr.open(path, "r", encoding="utf8") as file:
            data = parse_yaml(file)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpaceError(f"{path}{_yaml_problem(error)}") from error
    try:
        return space_from_dict(data)
    except SpaceError as error:
        raise SpaceError(f"{path}: {error}") from error


def _yaml_problem(error: Exception) -> str:
    """Where and why yaml can't be read, ":line: reason" on one line, to stand behind the file's name."""
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f":{mark.line + 1}: not plain yaml: {reason}" if mark else f": not plain yaml: {reason}"


def space_from_dict(data: object) -> SearchSpace:
    """Build a space from the dictionary that a yaml file holds.

    Args:
        data: "name" and "groups", and if wanted "stem" and "head", in the form of configs/spaces/.
    Raises:
        SpaceError: a key is missing, unknown or wrong; names the group (counted from 1), the key at fault and, for
            an unknown key, the nearest known one.
    """
    top = check_keys("the space", data, required=("name", "groups"), optional=("stem", "head"))
    if not isinstance(top["name"], str):
        raise SpaceError(f"name: {top['name']!r} is not a string")
    if not isinstance(top["groups"], list) or not top["groups"]:
        raise SpaceError("groups: expected a list of at least one group")
    stem = check_keys("stem", top.get("stem", {}), optional=("channels", "temporal_kernel"))
    head = check_keys("head", top.get("head", {}), optional=("channels", "hidden"))
    groups = tuple(_group_from_dict(number, group) for number, group in enumerate(top["groups"], start=1))
    return SearchSpace(name=top["name"], groups=groups, stem=StemSpec(**stem), head=HeadSpec(**head))


def space_to_dict(space: SearchSpace) -> dict:
    """The plain dictionary from which `space_from_dict` builds an equal space."""
    groups = [
        {
            "channels": list(group.channels),
            "kernels": [list(kernel) for kernel in group.kernels],
            "expansions": list(group.expansions),
            "attentions": list(group.attentions),
            "blocks": group.blocks,
            "stride": group.stride,
        }
        for group in space.groups
    ]
    return {
        "name": space.name,
        "stem": dataclasses.asdict(space.stem),
        "head": dataclasses.asdict(space.head),
        "groups": groups,
    }


def check_keys(
    where: str, data: object, *, required: Iterable[str] = (), optional: Iterable[str] = ()
) -> dict[str, Any]:
    """Check the keys of a mapping that somebody else wrote.

    Args:
        where: what the mapping describes, for the error message.
        data: the mapping, or whatever stands in its place.
        required: the keys that must be there.
        optional: further keys that may be there.
    Returns:
        A new dictionary of the same keys and values.
    Raises:
        SpaceError: `data` is no mapping, a required key is missing, or a key is unknown (the message has the nearest
            known one).
    """
    if not isinstance(data, Mapping):
        raise SpaceError(f"{where}: expected keys and values, got {type(data).__name__}")
    required = tuple(required)
    known = (*required, *optional)
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise SpaceError(f"{where}: unknown key {key!r}; {hint}")
    for key in required:
        if key not in data:
            raise SpaceError(f"{where}: key {key!r} is missing")
    return dict(data)


def _group_from_dict(number: int, data: object) -> GroupSpec:
    """Build one group; `SpaceError` names it (counted from 1) and the key at fault."""
    where = f"group {number}"
    fields = check_keys(where, data, required=_GROUP_KEYS)
    try:
        return GroupSpec(
            channels=tuple(_numbers("channels", fields["channels"])),
            kernels=tuple(_kernels(fields["kernels"])),
            expansions=tuple(_numbers("expansions", fields["expansions"])),
            attentions=tuple(_list("attentions", fields["attentions"])),
            blocks=fields["blocks"],
            stride=fields["stride"],
        )
    except SpaceError as error:
        raise SpaceError(f"{where}: {error}") from error


def _list(key: str, value: object) -> list:
    """`value` itself; `SpaceError` names `key` where it is no list."""
    if not isinstance(value, list):
        raise SpaceError(f"{key}: {value!r} is not a list")
    return value


def _kernels(value: object) -> list:
    """The list of kernels, each of them a list; `SpaceError` where one is not."""
    kernels = _list("kernels", value)
    for kernel in kernels:
        if not isinstance(kernel, list):
            raise SpaceError(f"kernels: {kernel!r} is not a pair [t, s]")
    return kernels


def _numbers(key: str, value: object) -> list:
    """A list of numbers, or the arithmetic progression {min, max, step}, both ends included.

    Raises:
        SpaceError: a value is no number, or the steps from min do not reach max.
    """
    if isinstance(value, Mapping):
        bounds = check_keys(key, value, required=("min", "max", "step"))
        first, last, step = (_number(f"{key}.{name}", bounds[name]) for name in ("min", "max", "step"))
        count = (last - first) / step if step > 0 else -1
        # A step that misses the maximum is a typing error, not a shorter list.
        if not math.isclose(count, round(count), abs_tol=1e-6) or count < 0:
            raise SpaceError(f"{key}: steps of {step:g} from {first:g} do not reach {last:g}")
        return [first + index * step for index in range(round(count) + 1)]
    return [_number(key, number) for number in _list(key, value)]


def _number(key: str, value: object) -> int | float:
    """`value` itself; `SpaceError` names `key` where it is no finite number."""
    # `value == value` is false for NaN alone.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or math.isinf(value):
        raise SpaceError(f"{key}: {value!r} is not a number")
    return value
