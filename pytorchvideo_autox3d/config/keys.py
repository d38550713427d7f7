"""Dotted keys such as SOLVER.BASE_LR, for a `CfgNode` as for the plain mapping that its yaml reads as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key that holds a value, dotted, with that value, in the order of the config.

    Args:
        values: a config or a nested mapping.
        prefix: put before every key, with its dot.
    """
    for key, value in values.items():
        if isinstance(value, dict):  # a CfgNode is one
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def value_at(values: Mapping[str, Any], key: str) -> Any:
    """The value, or the group of keys, at a dotted key.

    Raises:
        KeyError: there is no such key.
    """
    node: Any = values
    for part in key.split("."):
        if not isinstance(node, Mapping):
            raise KeyError(key)
        node = node[part]
    return node


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Each key whose value differs between two configs that both have it, in the order of `after`.

    Returns:
        Triples (dotted key, value in `before`, value in `after`).
    """
    old = dict(leaves(before))
    for key, value in leaves(after):
        if key in old and old[key] != value:
            yield key, old[key], value
