"""Reads others' yaml and JSON as plain data, within limits: no tags, no alias bombs, no nesting that ends Python."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TextIO

import simplejson
import yaml

MOST_NODES = 1_000_000
"""The most values a yaml document may have with its aliases written out; our largest has a few hundred."""


def parse_yaml(text: str | TextIO) -> Any:
    """The plain data of one yaml document.

    Raises:
        yaml.YAMLError: the text is not yaml, has a tag for anything but plain data, an alias that leads back to
            itself, or more than `MOST_NODES` values once the aliases are written out ("billion laughs").
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MOST_NODES:
            raise yaml.YAMLError(f"more than {MOST_NODES} values once its aliases are written out")
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None
    except (ValueError, TypeError) as error:  # a date that is none, a number of too many digits, a list as a key
        raise yaml.YAMLError(f"a value that is none: {error}") from None
    finally:
        loader.dispose()


def parse_json(text: str) -> Any:
    """The plain data of a JSON text.

    Raises:
        simplejson.JSONDecodeError: the text is not JSON, is nested too deeply, or has a number of too many digits.
    """
    try:
        return simplejson.loads(text)
    except simplejson.JSONDecodeError:
        raise
    except RecursionError:
        raise simplejson.JSONDecodeError("nested too deeply", text, 0) from None
    except ValueError as error:
        raise simplejson.JSONDecodeError(f"a number of too many digits ({error})", text, 0) from None


def _size(node: yaml.Node, known: dict[Hashable, int]) -> int:
    """The number of values in `node`, itself included; an alias counts as what it stands for.

    Args:
        node: of a parsed document.
        known: sizes by the nodes' ids, filled in so that each node is walked once.

    Raises:
        yaml.YAMLError: an alias leads back to itself.
    """
    if id(node) in known:
        if known[id(node)] == 0:
            raise yaml.YAMLError("an alias that leads back to itself")
        return known[id(node)]
    known[id(node)] = 0  # under way
    below: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        below = node.value
    elif isinstance(node, yaml.MappingNode):
        below = [part for pair in node.value for part in pair]
    known[id(node)] = 1 + sum(_size(part, known) for part in below)
    return known[id(node)]
