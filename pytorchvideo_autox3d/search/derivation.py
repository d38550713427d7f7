"""From a policy to an architecture: the most likely one, or the best of several samples by validation score.

Shapes: N samples, D decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine import Precision, evaluating, prepare_clip, recalibrate_bn
from pytorchvideo_autox3d.engine.protocols import Loader, Preprocess
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search.budget import Budget, Budgets, Verdict
from pytorchvideo_autox3d.search.policy import Policy
from pytorchvideo_autox3d.space import Architecture
from pytorchvideo_autox3d.supernet import Supernet, inherit

METHODS = ("most_likely", "best_of")
# Samples drawn to find architectures within a budget; looking their costs up takes milliseconds.
_DRAWS = 10_000

Score = Callable[[Architecture], float]
"""Validation score of an architecture with inherited weights; higher is better."""


@dataclass(frozen=True)
class Derived:
    """An architecture that a search gave.

    Args:
        architecture: the choices.
        log_probability: under the policy, in nats.
        costs: by metric: gflops, params_m.
        verdicts: each budget, met or missed and by how much.
        score: validation score with inherited weights, where it was measured.
    """

    architecture: Architecture
    log_probability: float
    costs: dict[str, float]
    verdicts: tuple[Verdict, ...]
    score: float | None = None

    @property
    def within_budgets(self) -> bool:
        """Whether every budget is met."""
        return all(verdict.met for verdict in self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "architecture": self.architecture.to_dict(),
            "log_probability": self.log_probability,
            "score": self.score,
            **self.costs,
            "budgets": [verdict.to_dict() for verdict in self.verdicts],
        }


def derive(
    policy: Policy,
    *,
    budgets: Budgets,
    method: str = "most_likely",
    count: int = 16,
    score: Score | None = None,
    generator: torch.Generator | None = None,
) -> Derived:
    """The architecture that a search ends with, checked against every budget.

    Args:
        method: "most_likely", whatever it costs; or "best_of": `count` different samples within the budgets (and the
            most likely one, if it is) are scored, and the best is taken.
        score: for "best_of"; see `inherited_score`.
        generator: for "best_of"; its own, seeded 0, by default.
    Raises:
        SearchError: an unknown method, no score, or no sample within the budgets.
    """
    if method == "most_likely":
        return _derived(policy, policy.most_likely(), budgets)
    if method != "best_of":
        raise SearchError(f"SEARCH.DERIVE: {method!r} is none of {', '.join(METHODS)}")
    if score is None:
        raise SearchError("SEARCH.DERIVE: best_of needs a validation score")
    if count < 1:
        raise SearchError(f"SEARCH.BEST_OF: {count} is below 1")
    found = _samples_within(policy, budgets, count, generator or torch.Generator().manual_seed(0))
    if not found:
        raise SearchError(f"none of {_DRAWS} samples of the policy is within the budgets; search longer or raise them")
    return _best(policy, found, budgets, score)


def pareto(
    policy: Policy,
    *,
    budgets: Budgets,
    targets_gflops: Sequence[float],
    count: int = 16,
    score: Score | None = None,
    generator: torch.Generator | None = None,
) -> list[Derived]:
    """One architecture for each of several multiply-add budgets, from one search.

    Of samples within a target (and within `budgets`' other metrics) the `count` most probable ones are scored; without
    `score` the most probable one is taken.

    Raises:
        SearchError: a target is out of the space's reach, or no sample is within it.
    """
    generator = generator or torch.Generator().manual_seed(0)
    others = [budget for budget in budgets.budgets if budget.metric != "gflops"]
    rows: list[Derived] = []
    for target in targets_gflops:
        limits = Budgets(budgets.table, [Budget("gflops", target), *others])
        found = _samples_within(policy, limits, None, generator)
        if not found:
            raise SearchError(
                f"none of {_DRAWS} samples of the policy is within {target:g} GFLOPs: the search learned to spend more"
            )
        found.sort(key=lambda architecture: -float(policy.log_probability(architecture).detach()))
        rows.append(
            _derived(policy, found[0], limits) if score is None else _best(policy, found[:count], limits, score)
        )
    return rows


def pareto_table(rows: Sequence[Derived]) -> str:
    """`pareto`'s result as text."""
    lines = [f"{'target':>8} {'GFLOPs':>8} {'params, M':>10} {'score':>8} {'log P':>8}"]
    for row in rows:
        target = next(verdict.target for verdict in row.verdicts if verdict.metric == "gflops")
        score = "-" if row.score is None else f"{row.score:.2f}"
        lines.append(
            f"{target:>8g} {row.costs['gflops']:>8.4g} {row.costs['params_m']:>10.4g} {score:>8} "
            f"{row.log_probability:>8.2f}"
        )
    return "\n".join(lines)


def inherited_score(
    supernet: Supernet,
    validation_loader: Loader,
    calibration_loader: Loader,
    *,
    bn_batches: int,
    preprocess: Preprocess,
    device: torch.device,
    precision: Precision | None = None,
    channels_last: bool = True,
) -> Score:
    """A score: top-1 accuracy in percent on `validation_loader` of the plain network with inherited weights.

    The supernet's running statistics mix all architectures, so the network's own are computed first, over `bn_batches`
    batches of `calibration_loader` (training clips). The supernet is not changed.
    """
    precision = precision or Precision()

    def score(architecture: Architecture) -> float:
        net = recalibrated(
            supernet,
            architecture,
            calibration_loader,
            bn_batches=bn_batches,
            preprocess=preprocess,
            device=device,
            precision=precision,
            channels_last=channels_last,
        )
        right = total = 0
        with evaluating(net), precision.autocast(device):
            for batch in validation_loader:
                clip_BCTHW = prepare_clip(batch.clip_BCTHW, preprocess, device=device, channels_last=channels_last)
                right += int((net(clip_BCTHW).argmax(dim=1) == batch.label_B.to(device)).sum())
                total += len(batch.label_B)
        counts = distributed.all_gather_objects((right, total))
        return 100.0 * sum(right for right, _ in counts) / sum(total for _, total in counts)

    return score


def recalibrated(
    supernet: Supernet,
    architecture: Architecture,
    loader: Loader,
    *,
    bn_batches: int,
    preprocess: Preprocess,
    device: torch.device,
    precision: Precision | None = None,
    channels_last: bool = True,
) -> nn.Module:
    """`inherit`, then BN statistics of the network's own over `bn_batches` batches; in eval mode."""
    net = inherit(supernet, architecture).to(device)
    loader.set_epoch(0)
    recalibrate_bn(
        net,
        loader,
        num_batches=bn_batches,
        preprocess=preprocess,
        device=device,
        precision=precision,
        channels_last=channels_last,
    )
    return net.eval()


def _derived(policy: Policy, architecture: Architecture, budgets: Budgets, score: float | None = None) -> Derived:
    return Derived(
        architecture,
        float(policy.log_probability(architecture).detach()),
        budgets.cost_of(architecture),
        budgets.verdicts(architecture),
        score,
    )


def _samples_within(
    policy: Policy, budgets: Budgets, count: int | None, generator: torch.Generator
) -> list[Architecture]:
    """The most likely architecture and different samples in the order drawn, if within the budgets; at most `count`."""
    best = torch.tensor([policy.space.indices_of(policy.most_likely())])
    indices_ND = torch.cat([best, policy.sample_indices(_DRAWS, generator)])
    within = indices_ND[torch.from_numpy(budgets.within(indices_ND))]
    different = list(dict.fromkeys(map(tuple, within.tolist())))
    return [policy.space.architecture_at(row) for row in different[:count]]


def _best(policy: Policy, candidates: Sequence[Architecture], budgets: Budgets, score: Score) -> Derived:
    """The candidate of the highest score; of equals, the more probable."""
    scored = [_derived(policy, architecture, budgets, score(architecture)) for architecture in candidates]
    return max(scored, key=lambda one: (one.score, one.log_probability))
