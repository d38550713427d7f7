"""Metadata of formats that have no place for it: a JSON file beside theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def path_of(path: Path) -> Path:
    """The path of the metadata of `path`: .json after its name."""
    return path.with_name(f"{path.name}.json")


def write(path: Path, metadata: Mapping[str, str]) -> None:
    """Write `metadata` beside `path`."""
    path_of(path).write_text(json.dumps(dict(metadata), indent=2) + "\n", encoding="utf8")


def read(path: Path) -> dict[str, str]:
    """Read what `write` wrote; an empty dictionary where there is no such file."""
    beside = path_of(path)
    return json.loads(beside.read_text(encoding="utf8")) if beside.exists() else {}
