"""Budgets: limits on the cost of an architecture, and the cost-aware term of the loss (paper, equation 2).

A budget is checked twice: before a search, against the range of the space, and after it, against what it derived.

Shapes: K architectures, D decisions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from pytorchvideo_autox3d.analysis import AdditiveCost, CostTable
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search.most_probable import Limit
from pytorchvideo_autox3d.space import Architecture


@dataclass(frozen=True)
class Metric:
    """A cost that a budget can limit.

    Attributes:
        unit: the unit that targets are given in, for messages.
        scale: how many of the cost table's own units make one `unit`.
        key: the config key that sets the target.
    """

    unit: str
    scale: float
    key: str


# Multiply-adds of convolutions, linear layers and matrix products, in 1e9; parameters in 1e6; measured milliseconds.
METRICS = {
    "gflops": Metric("GFLOPs", 1e9, "SEARCH.TARGET_GFLOPS"),
    "params_m": Metric("M parameters", 1e6, "SEARCH.TARGET_PARAMS_M"),
    "latency_ms": Metric("ms", 1.0, "SEARCH.BUDGETS"),
}


@dataclass(frozen=True)
class Budget:
    """One limit: adds weight * max(cost - target, 0) / target to an architecture's loss.

    Args:
        metric: "gflops", "params_m" or "latency_ms".
        target: the T of equation 2, in the metric's unit (1e9 multiply-adds, 1e6 parameters, milliseconds).
        weight: factor of the term in the loss; the paper does not give a value.
        key: the config key that set this budget, named in error messages; by default the metric's own.

    Raises:
        SearchError: an unknown metric, a target that is not positive, a negative weight, or one of them not finite.
    """

    metric: str
    target: float
    weight: float = 1.0
    key: str = ""

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            named = f"{self.key}: " if self.key else ""
            raise SearchError(f"{named}budget {self.metric!r} is none of {', '.join(METRICS)}")
        object.__setattr__(self, "key", self.key or METRICS[self.metric].key)
        if not (self.target > 0 and math.isfinite(self.target)):
            raise SearchError(f"{self.key}: a target of {self.target} is not above 0 and finite")
        if not 0 <= self.weight < math.inf:
            raise SearchError(f"{self.key}: a weight of {self.weight} is negative or not finite")


@dataclass(frozen=True)
class BudgetCheck:
    """The outcome of checking one architecture against one budget.

    Attributes:
        metric: "gflops", "params_m" or "latency_ms".
        target: the most that is allowed, in the metric's unit.
        cost: what the architecture costs, in the same unit.
    """

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
        """Plain data for JSON: the fields, `met`, and `excess`, which is (cost - target) / target."""
        return {**asdict(self), "met": self.met, "excess": self.cost / self.target - 1}


def hinge(cost: np.ndarray, target: float) -> np.ndarray:
    """c(A) = max(cost - T, 0) / T (paper, equation 2), element by element; `cost` and `target` in the same unit."""
    return np.maximum(cost - target, 0.0) / target


class Budgets:
    """Any number of budgets over one space and clip size.

    Args:
        table: the costs of the space's architectures.
        budgets: at most one for each metric; none is allowed.
        latency: measured milliseconds of the same space and clip size; without them there is no "latency_ms".

    Raises:
        SearchError: a target lies below the cost of the space's cheapest network, so that the search could never meet
            it, or not below that of its dearest, so that it would never act; the message names the range and, where
            one is likely, a mistaken unit. Also for two budgets of one metric, or a latency budget without `latency`.
    """

    def __init__(
        self, table: CostTable, budgets: Sequence[Budget] = (), *, latency: AdditiveCost | None = None
    ) -> None:
        self.table = table
        self.latency = latency
        self.budgets = tuple(budgets)
        self._costs: dict[str, AdditiveCost] = {"gflops": table.additive("macs"), "params_m": table.additive("params")}
        if latency is not None:
            self._costs["latency_ms"] = latency
        for number, budget in enumerate(self.budgets):
            if budget.metric in [one.metric for one in self.budgets[:number]]:
                raise SearchError(f"{budget.key}: two budgets for one metric, {budget.metric}")
            if budget.metric not in self._costs:
                raise SearchError(f"{budget.key}: a budget in {budget.metric} needs a measured SEARCH.LATENCY_TABLE")
            _check_reach(budget, *self.range(budget.metric))

    def with_target(self, metric: str, target: float) -> Budgets:
        """A copy in which `metric` has only the budget `target` (in the metric's unit), which comes first.

        Raises:
            SearchError: `target` is out of the space's reach, or `metric` is unknown or has no costs.
        """
        others = [budget for budget in self.budgets if budget.metric != metric]
        return Budgets(self.table, [Budget(metric, target), *others], latency=self.latency)

    def range(self, metric: str) -> tuple[float, float]:
        """The cost of the space's cheapest and of its dearest network, in the metric's unit."""
        low, high = self._costs[metric].range()
        return low / METRICS[metric].scale, high / METRICS[metric].scale

    def limits(self, floor: float = 0.0) -> list[Limit]:
        """The budgets as upper limits on additive costs, for `Policy.top`.

        Args:
            floor: the share of each target that a network must spend at least, in [0, 1]; 0 sets no lower limit.
        """
        limits = []
        for budget in self.budgets:
            cost, target = self._costs[budget.metric], budget.target * METRICS[budget.metric].scale
            limits.append(Limit(cost, target))
            if floor > 0:
                # A network that spends at least so much leaves at most the rest of the dearest one unspent.
                dearest = cost.range()[1]
                limits.append(Limit(cost.unspent(dearest), dearest - floor * target))
        return limits

    def allow(self, architecture: Architecture, floor: float = 0.0) -> bool:
        """Whether an architecture meets every budget and spends at least the share `floor` of each target."""
        return all(floor * check.target <= check.cost <= check.target for check in self.checks(architecture))

    def nothing_within(self) -> str:
        """The text of the error that no network of the space meets all budgets; there must be at least one budget."""
        targets = ", ".join(f"{budget.target:g} {METRICS[budget.metric].unit}" for budget in self.budgets)
        return f"{self.budgets[0].key}: no network of the space is within {targets} at once"

    def additive(self, metric: str) -> AdditiveCost:
        """What each choice adds to the cost `metric`, in the table's own unit.

        `METRICS[metric].scale` of the table's units make one of the metric's.
        """
        return self._costs[metric]

    def costs(self, indices_KD: torch.Tensor) -> dict[str, np.ndarray]:
        """The costs of K architectures, given as candidate indices on the CPU.

        Returns:
            For each metric a float64 array (K,), in the metric's unit.
        """
        return {name: cost.total(indices_KD.numpy()) / METRICS[name].scale for name, cost in self._costs.items()}

    def penalty(self, indices_KD: torch.Tensor) -> torch.Tensor:
        """The sum over budgets of weight * c(A_k): float64 (K,), 0 without budgets."""
        costs = self.costs(indices_KD)
        terms = [budget.weight * hinge(costs[budget.metric], budget.target) for budget in self.budgets]
        return torch.from_numpy(np.sum(terms, axis=0) if terms else np.zeros(len(indices_KD)))

    def cost_of(self, architecture: Architecture) -> dict[str, float]:
        """The costs of one architecture by metric, each in the metric's unit."""
        indices = torch.tensor([architecture.indices])
        return {name: float(values[0]) for name, values in self.costs(indices).items()}

    def checks(self, architecture: Architecture) -> tuple[BudgetCheck, ...]:
        """How one architecture compares with each budget, in the order of the budgets."""
        costs = self.cost_of(architecture)
        return tuple(BudgetCheck(b.metric, b.target, costs[b.metric]) for b in self.budgets)


def _check_reach(budget: Budget, low: float, high: float) -> None:
    if low <= budget.target < high:
        return
    metric = METRICS[budget.metric]
    if low == high:
        raise SearchError(
            f"{budget.key}: every network of the space has {low:.4g} {metric.unit}, so a budget "
            "decides nothing: set it to 0"
        )
    where = "below the cheapest" if budget.target < low else "not below the dearest"
    message = (
        f"{budget.key}: a target of {budget.target:g} {metric.unit} is {where} network of the space, which spans "
        f"{low:.4g} to {high:.4g} {metric.unit} at this clip size"
    )
    for factor in (1e-9, 1e-6, 1e-3, 1e3, 1e6):
        if low <= budget.target * factor < high:
            message += f"; the unit is {metric.unit}: was {budget.target * factor:g} meant?"
            break
    raise SearchError(message)
