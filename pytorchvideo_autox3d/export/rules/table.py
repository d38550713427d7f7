"""The table from an operator to what it does on maps held as `Frames`; what isn't in it can't be lowered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

aten = torch.ops.aten


class NoRule(Exception):
    """An operator, or a use of one, that has no form on four dimensions."""


Rule = Callable[..., Any]
RULES: dict[Any, Rule] = {}


def rule(*operators: Any) -> Callable[[Rule], Rule]:
    """Register a function as the rule of these operators, for use as a decorator.

    The function is called as function(operator, *arguments) where an argument is `Frames` or `Positions`.
    """

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(operators, function))
        return function

    return register


def triple(value: Any) -> list[int]:
    """An operator's size, stride or padding as three numbers, (t, h, w); a single one stands for all of them."""
    values = [value] * 3 if isinstance(value, int) else list(value)
    return values * 3 if len(values) == 1 else values
