"""Budgets: the cost-aware term (paper, equation 2), checked before a search and against what it derives.

Shapes: K architectures, D decisions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from pytorchvideo_autox3d.analysis import CostTable
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.space import Architecture


@dataclass(frozen=True)
class Metric:
    """What a budget can limit: a column of `CostTable`, the unit it is given in, and the config key."""

    column: str
    unit: str
    scale: float
    key: str


# Multiply-adds of convolutions, linear layers and matrix products, in 1e9; parameters in 1e6.
METRICS = {
    "gflops": Metric("macs", "GFLOPs", 1e9, "SEARCH.TARGET_GFLOPS"),
    "params_m": Metric("params", "M parameters", 1e6, "SEARCH.TARGET_PARAMS_M"),
}


@dataclass(frozen=True)
class Budget:
    """One limit: adds weight * max(cost - target, 0) / target to an architecture's loss.

    Args:
        metric: "gflops" or "params_m".
        target: T, in the metric's unit.
        weight: the paper does not give it.
    Raises:
        SearchError: an unknown metric, a target that is not positive or a negative weight.
    """

    metric: str
    target: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise SearchError(f"budget {self.metric!r} is none of {', '.join(METRICS)}")
        if not (self.target > 0 and math.isfinite(self.target)):
            raise SearchError(f"{METRICS[self.metric].key}: a target of {self.target} is not above 0")
        if not self.weight >= 0:
            raise SearchError(f"{METRICS[self.metric].key}: a weight of {self.weight} is negative")


@dataclass(frozen=True)
class Verdict:
    """One budget against one architecture; costs in the metric's unit."""

    metric: str
    target: float
    cost: float

    @property
    def met(self) -> bool:
        """Whether the cost is within the target."""
        return self.cost <= self.target

    def __str__(self) -> str:
        unit = METRICS[self.metric].unit
        percent = 100 * (self.cost / self.target - 1)
        outcome = "met" if self.met else "MISSED"
        return f"{outcome}: {self.cost:.4g} of {self.target:g} {unit} ({percent:+.1f}%)"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "met": self.met, "excess": self.cost / self.target - 1}


def hinge(cost: np.ndarray, target: float) -> np.ndarray:
    """c(A) = max(cost - T, 0) / T (paper, equation 2)."""
    return np.maximum(cost - target, 0.0) / target


class Budgets:
    """Any number of budgets over one space and clip size.

    Args:
        table: the costs of the space's architectures.
        budgets: at most one for each metric; none is allowed.
    Raises:
        SearchError: a target lies below the space's cheapest network or not below its dearest: the search could never
            meet it, or it would never act. Names the range, and the likely slip of a unit.
    """

    def __init__(self, table: CostTable, budgets: Sequence[Budget] = ()) -> None:
        self.table = table
        self.budgets = tuple(budgets)
        names = [budget.metric for budget in self.budgets]
        if len(set(names)) < len(names):
            raise SearchError(f"two budgets for one metric: {', '.join(names)}")
        for budget in self.budgets:
            _check_reach(budget, *self.range(budget.metric))

    def range(self, metric: str) -> tuple[float, float]:
        """The cheapest and the dearest of the space, in the metric's unit."""
        scale = METRICS[metric].scale
        low, high = self.table.macs_range() if metric == "gflops" else self.table.params_range()
        return low / scale, high / scale

    def costs(self, indices_KD: torch.Tensor) -> dict[str, np.ndarray]:
        """The cost of architectures given as candidate indices, by metric, in its unit: float64 (K,) each."""
        costs = self.table.cost(indices_KD.numpy())
        return {name: getattr(costs, metric.column) / metric.scale for name, metric in METRICS.items()}

    def penalty(self, indices_KD: torch.Tensor) -> torch.Tensor:
        """The sum over budgets of weight * c(A_k): float64 (K,), 0 without budgets."""
        costs = self.costs(indices_KD)
        terms = [budget.weight * hinge(costs[budget.metric], budget.target) for budget in self.budgets]
        return torch.from_numpy(np.sum(terms, axis=0) if terms else np.zeros(len(indices_KD)))

    def within(self, indices_KD: torch.Tensor) -> np.ndarray:
        """Whether each architecture meets every budget: bool (K,)."""
        costs = self.costs(indices_KD)
        return np.all([costs[b.metric] <= b.target for b in self.budgets] or [np.ones(len(indices_KD), bool)], axis=0)

    def cost_of(self, architecture: Architecture) -> dict[str, float]:
        """The costs of one architecture, by metric."""
        indices = torch.tensor([architecture.space.indices_of(architecture)])
        return {name: float(values[0]) for name, values in self.costs(indices).items()}

    def verdicts(self, architecture: Architecture) -> tuple[Verdict, ...]:
        """Each budget against one architecture."""
        costs = self.cost_of(architecture)
        return tuple(Verdict(b.metric, b.target, costs[b.metric]) for b in self.budgets)


def _check_reach(budget: Budget, low: float, high: float) -> None:
    if low <= budget.target < high:
        return
    metric = METRICS[budget.metric]
    if low == high:
        raise SearchError(
            f"{metric.key}: every network of the space has {low:.4g} {metric.unit}, so a budget "
            "decides nothing: set it to 0"
        )
    where = "below the cheapest" if budget.target < low else "not below the dearest"
    message = (
        f"{metric.key}: a target of {budget.target:g} {metric.unit} is {where} network of the space, which spans "
        f"{low:.4g} to {high:.4g} {metric.unit} at this clip size"
    )
    for factor in (1e-9, 1e-6, 1e-3, 1e3, 1e6):
        if low <= budget.target * factor < high:
            message += f"; the unit is {metric.unit}: was {budget.target * factor:g} meant?"
            break
    raise SearchError(message)
