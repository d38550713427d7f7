"""From a policy to an architecture: the most probable one, or the one of the best validation score among several.

Shapes: N samples, D decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search.budget import BudgetCheck, Budgets
from pytorchvideo_autox3d.search.evolution import Evolution, evolve
from pytorchvideo_autox3d.search.inherited import Score
from pytorchvideo_autox3d.search.policy import Policy
from pytorchvideo_autox3d.space import Architecture

METHODS = ("most_likely", "within_budgets", "best_of", "evolution")
# The methods that need validation scores.
SCORED = ("best_of", "evolution")


@dataclass(frozen=True)
class SearchResult:
    """An architecture that a search derived, with its costs.

    Args:
        architecture: the choice made for each decision.
        log_probability: of the architecture under the policy, in nats.
        costs: by metric: gflops (1e9 multiply-adds), params_m (1e6 parameters), and latency_ms where a latency table
            was given.
        checks: for each budget, whether it is met and by how much.
        score: validation score with inherited weights (`inherited_score`); None where it was not measured.
        measured_ms: milliseconds of the whole network, where it was run; `costs` has what the table predicts.
    """

    architecture: Architecture
    log_probability: float
    costs: dict[str, float]
    checks: tuple[BudgetCheck, ...]
    score: float | None = None
    measured_ms: float | None = None

    @property
    def measured_check(self) -> BudgetCheck | None:
        """The latency budget against the whole network as it was measured; None without either."""
        budget = next((check for check in self.checks if check.metric == "latency_ms"), None)
        if budget is None or self.measured_ms is None:
            return None
        return replace(budget, cost=self.measured_ms)

    @property
    def within_budgets(self) -> bool:
        """Whether every budget is met."""
        return all(check.met for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "architecture": self.architecture.to_dict(),
            "log_probability": self.log_probability,
            "score": self.score,
            **self.costs,
            "budgets": [check.to_dict() for check in self.checks],
            **({} if self.measured_ms is None else {"measured_ms": self.measured_ms}),
        }


def derive(
    policy: Policy,
    *,
    budgets: Budgets,
    method: str = "within_budgets",
    count: int = 16,
    score: Score | None = None,
    floor: float = 0.0,
    evolution: Evolution | None = None,
) -> SearchResult:
    """The architecture that a search ends with, checked against every budget.

    Args:
        policy: the distribution that the search has learnt.
        budgets: what the architecture must meet ("most_likely" only reports whether it does).
        method: "within_budgets" takes the most probable architecture that meets every budget; "most_likely" the most
            probable one, whatever it costs; "best_of" the one of the highest score among the `count` most probable
            ones within the budgets; "evolution" evolves by score, from a first population that the policy draws.
        count: how many architectures "best_of" scores (SEARCH.BEST_OF).
        score: gives the validation score of an architecture, for "best_of" and "evolution"; see `inherited_score`.
        floor: the share of each target that an architecture must spend at least, unless it is "most_likely"; ignored
            where no architecture spends so much. 0 is no lower limit.
        evolution: how many architectures "evolution" looks at; None takes the defaults.

    Raises:
        SearchError: an unknown method, no score for a method that needs one, a count below 1, or no architecture
            within the budgets.
    """
    if method not in METHODS:
        raise SearchError(f"SEARCH.DERIVE: {method!r} is none of {', '.join(METHODS)}")
    if method == "most_likely":
        return _derived(policy, policy.most_likely(), budgets)
    if method == "within_budgets":
        return _derived(policy, _within(policy, budgets, 1, floor)[0], budgets)
    if score is None:
        raise SearchError(f"SEARCH.DERIVE: {method} needs a validation score")
    if count < 1:
        raise SearchError(f"SEARCH.BEST_OF: {count} is below 1")
    if method == "evolution":
        floor = floor if policy.top(1, budgets.limits(floor)) else 0.0
        scores = evolve(policy, budgets, score, evolution or Evolution(), floor=floor)
        best = max(scores, key=scores.__getitem__)
        return _derived(policy, best, budgets, scores[best])
    return _best(policy, _within(policy, budgets, count, floor), budgets, score)


def pareto(
    policy: Policy,
    *,
    budgets: Budgets,
    targets: Sequence[float],
    metric: str = "gflops",
    method: str | None = None,
    **options: Any,
) -> list[SearchResult]:
    """Derive one architecture for each of several targets of one metric, from one search, by `derive`.

    Args:
        policy: the distribution that the search has learnt.
        budgets: the search's; in each row that of `metric` is replaced by the target, and the others stay.
        targets: in the metric's unit.
        metric: "gflops", "params_m" or "latency_ms".
        method: as in `derive`; None is "best_of" where `options` has a score, and "within_budgets" where not.
        options: further arguments of `derive`.

    Returns:
        One result for each target, in the order of the targets; its first check is that of the target.

    Raises:
        SearchError: a target is out of the space's reach, or no architecture is within it and the other budgets.
    """
    method = method or ("within_budgets" if options.get("score") is None else "best_of")
    return [derive(policy, budgets=budgets.with_target(metric, target), method=method, **options) for target in targets]


def pareto_table(rows: Sequence[SearchResult]) -> str:
    """The rows of `pareto` as a text table; the target shown is that of each row's first check."""
    with_ms = any("latency_ms" in row.costs for row in rows)
    heads = ["target", "GFLOPs", "params, M", *(["ms", "measured"] if with_ms else []), "score", "log P"]
    lines = ["".join(f"{head:>10}" for head in heads)]
    for row in rows:
        milliseconds = [_cell(row.costs.get("latency_ms")), _cell(row.measured_ms)] if with_ms else []
        cells = [f"{row.checks[0].target:g}", _cell(row.costs["gflops"]), _cell(row.costs["params_m"])]
        cells += [*milliseconds, _cell(row.score, ".2f"), _cell(row.log_probability, ".2f")]
        lines.append("".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)


def _cell(value: float | None, form: str = ".4g") -> str:
    return "-" if value is None else format(value, form)


def _derived(policy: Policy, architecture: Architecture, budgets: Budgets, score: float | None = None) -> SearchResult:
    return SearchResult(
        architecture,
        float(policy.log_probability(architecture).detach()),
        budgets.cost_of(architecture),
        budgets.checks(architecture),
        score,
    )


def _within(policy: Policy, budgets: Budgets, count: int, floor: float = 0.0) -> list[Architecture]:
    """The `count` most probable architectures within the budgets, best first; fewer where there are fewer.

    Where none spends `floor` of each target, those that spend less.

    Raises:
        SearchError: there is none.
    """
    found = policy.top(count, budgets.limits(floor)) or policy.top(count, budgets.limits())
    if not found:
        raise SearchError(budgets.nothing_within())
    return [architecture for architecture, _ in found]


def _best(policy: Policy, candidates: Sequence[Architecture], budgets: Budgets, score: Score) -> SearchResult:
    """The candidate of the highest score; of equals, the more probable."""
    scored = [_derived(policy, architecture, budgets, score(architecture)) for architecture in candidates]
    return max(scored, key=lambda one: (one.score, one.log_probability))
