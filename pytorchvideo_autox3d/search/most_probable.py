"""Finds the most probable architectures within limits on costs, exactly.

Decisions are independent and costs add up over neighbouring groups, so that all architectures are paths through a chain
of groups whose states are widths. The paths are extended group by group, and of each layer the most promising ones are
kept: those of the highest bound, which is the log-probability so far plus the most that the rest can give. The bound
charges costs at prices (Lagrange multipliers), at which going over a limit pays nothing:

    log P(rest) <= max over rests of [log P - price * cost] + price * (limit - cost so far)

The paths that were dropped have bounds too. When none of these exceeds the architectures found, nothing better exists;
otherwise the search starts again and keeps more paths. Shapes: L labels (partial paths), M limits, P prices, S choices
of a group, W widths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from pytorchvideo_autox3d.analysis.additive import AdditiveCost, FloatArray
from pytorchvideo_autox3d.errors import SearchError

_FIRST_WIDTH, _LAST_WIDTH = 256, 1 << 16
_ROUNDING = 1e-9
# Cuts of the dual problem; each is one pass over the tables, and more would only tighten the bound.
_CUTS = 40


@dataclass(frozen=True)
class Limit:
    """An upper limit on an additive cost; `most` is in the unit of `cost`."""

    cost: AdditiveCost
    most: float


Path = tuple[int, ...]


def most_probable(
    log_probabilities: Sequence[FloatArray], limits: Sequence[Limit] = (), count: int = 1
) -> list[tuple[Path, float]]:
    """The `count` most probable architectures within all limits.

    Args:
        log_probabilities: for each decision, those of its candidates, in nats; four decisions for each group.
        limits: what every architecture must meet.
        count: how many to find. Of equally probable ones any may be taken.

    Returns:
        Candidate indices and log-probability of each, the most probable first; fewer than `count` where fewer are
        within the limits.

    Raises:
        SearchError: with 65,536 paths kept at each layer it is still not proved that nothing better exists.
    """
    chain = _Chain.of(log_probabilities, limits)
    found: dict[Path, float] = {}
    width = _FIRST_WIDTH
    while True:
        floor = sorted(found.values(), reverse=True)[count - 1] if len(found) >= count else -np.inf
        paths, dropped = _extend(chain, width, floor)
        found.update(paths)
        ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:count]
        if dropped == -np.inf or (len(ranked) == count and ranked[-1][1] >= dropped - _ROUNDING):
            return ranked
        if width >= _LAST_WIDTH:
            raise SearchError(
                f"the most probable architectures within the budgets are not proved to be the {len(ranked)} found: a "
                f"bound is {dropped - (ranked[-1][1] if ranked else 0):.2g} nats above them"
            )
        width *= 4


@dataclass(frozen=True)
class _Chain:
    """The tables of a problem, with costs divided by their limits (so that every limit is 1), and bounds on the rest.

    Attributes:
        log_p: by group (K, C, E, A).
        costs: by group (M, W, K, C, E, A); heads: (M, W); fixed: (M,).
        prices: (P, M), the first row 0.
        ahead: by group (P, W), the most of log P - price * cost from there on; needed: by group (M, W), the least cost.
    """

    log_p: list[FloatArray]
    costs: list[FloatArray]
    heads: FloatArray
    fixed: FloatArray
    prices: FloatArray
    ahead: list[FloatArray]
    needed: list[FloatArray]

    @classmethod
    def of(cls, log_probabilities: Sequence[FloatArray], limits: Sequence[Limit]) -> _Chain:
        log_p = [_joint(log_probabilities[first : first + 4]) for first in range(0, len(log_probabilities), 4)]
        widths = [1, *(group.shape[1] for group in log_p)]
        shapes = [(len(limits), width, *group.shape) for width, group in zip(widths, log_p, strict=False)]
        costs = [
            np.array([limit.cost.groups[number] / limit.most for limit in limits]).reshape(shape)
            for number, shape in enumerate(shapes)
        ]
        heads = np.array([limit.cost.head / limit.most for limit in limits]).reshape(len(limits), widths[-1])
        fixed = np.array([limit.cost.fixed / limit.most for limit in limits])
        needed = [
            np.array([limit.cost.rest()[number] / limit.most for limit in limits]).reshape(len(limits), width)
            for number, width in enumerate(widths)
        ]
        prices = _prices(log_p, costs, heads, fixed)
        ahead = [np.stack(rows) for rows in zip(*(_ahead(log_p, costs, heads, price) for price in prices), strict=True)]
        return cls(log_p, costs, heads, fixed, prices, ahead, needed)


def _joint(parts: Sequence[FloatArray]) -> FloatArray:
    """Log-probability of every choice of a group from those of its four decisions: (K, C, E, A)."""
    kernel, channels, expansion, attention = (np.asarray(part, np.float64) for part in parts)
    over_kce = kernel[:, None, None] + channels[:, None] + expansion
    return over_kce[..., None] + attention


def _ahead(log_p: list[FloatArray], costs: list[FloatArray], heads: FloatArray, price: FloatArray) -> list[FloatArray]:
    """By group, the most of log P - price * cost from there on, by entering width."""
    after = [-price @ heads]
    for group, cost in zip(reversed(log_p), reversed(costs), strict=True):
        gain = group[None] - np.tensordot(price, cost, axes=1) + after[0][None, None, :, None, None]
        after.insert(0, gain.max(axis=(1, 2, 3, 4)))
    return after


def _prices(log_p: list[FloatArray], costs: list[FloatArray], heads: FloatArray, fixed: FloatArray) -> FloatArray:
    """Prices (P, M) of tight bounds: 0, and the last of Kelley's cutting planes for the dual problem."""
    limits = len(fixed)
    free = np.zeros(limits)
    if not limits:
        return free[None]
    dearest = 1e4 * (sum(np.ptp(group) for group in log_p) + 1.0)
    cuts: list[tuple[float, FloatArray]] = []
    price, tried = free, [free]
    for _ in range(_CUTS):
        log_probability, cost = _best_path(log_p, costs, heads, fixed, price)
        cuts.append((log_probability, 1.0 - cost))
        # min z over prices and z, where z >= log P(A) + price * (1 - cost(A)) for every path A seen.
        solution = linprog(
            [1.0, *free],
            A_ub=[[-1.0, *slack] for _, slack in cuts],
            b_ub=[-value for value, _ in cuts],
            bounds=[(None, None), *[(0.0, dearest)] * limits],
        )
        if not solution.success:  # a loose bound is still a bound
            break
        price = solution.x[1:]
        if any(np.allclose(price, other, rtol=1e-7, atol=1e-12) for other in tried):
            break
        tried.append(price)
    return np.unique(np.array([free, *tried[-3:]]), axis=0)


def _best_path(
    log_p: list[FloatArray], costs: list[FloatArray], heads: FloatArray, fixed: FloatArray, price: FloatArray
) -> tuple[float, FloatArray]:
    """Log-probability and cost (M,) of the path that is best at a price."""
    after = _ahead(log_p, costs, heads, price)
    width, total, cost = 0, 0.0, fixed.copy()
    for number, group in enumerate(log_p):
        onward = group - np.tensordot(price, costs[number][:, width], axes=1) + after[number + 1][None, :, None, None]
        kernel, channels, expansion, attention = map(int, np.unravel_index(int(onward.argmax()), onward.shape))
        total += float(group[kernel, channels, expansion, attention])
        cost += costs[number][:, width, kernel, channels, expansion, attention]
        width = channels
    return total, cost + heads[:, width]


def _extend(chain: _Chain, keep: int, floor: float) -> tuple[dict[Path, float], float]:
    """Extend partial paths group by group.

    Args:
        chain: the problem.
        keep: how many partial paths are kept at each layer.
        floor: paths whose bound is not above this log-probability are left out, as better ones are known.

    Returns:
        Log-probabilities of the whole paths within the limits, and the highest bound of what was dropped on the way.
    """
    width_L = np.zeros(1, np.int64)
    log_L, cost_ML = np.zeros(1), chain.fixed[:, None]
    taken_LD = np.zeros((1, 0), np.int64)
    dropped = -np.inf
    for number, group in enumerate(chain.log_p):
        sizes = group.shape
        log_LS = log_L[:, None] + group.reshape(1, -1)
        cost_MLS = cost_ML[:, :, None] + chain.costs[number][:, width_L].reshape(len(cost_ML), len(log_L), group.size)
        channel_S = np.broadcast_to(np.arange(sizes[1])[None, :, None, None], sizes).reshape(-1)
        bound_LS = _bounds(chain, number + 1, log_LS, cost_MLS, channel_S)
        candidates = np.flatnonzero(bound_LS > floor)
        if len(candidates) > keep:
            order = np.argpartition(-bound_LS.flat[candidates], keep)
            dropped = max(dropped, float(bound_LS.flat[candidates[order[keep:]]].max()))
            candidates = np.sort(candidates[order[:keep]])
        label, choice = np.divmod(candidates, group.size)
        taken_LD = np.concatenate([taken_LD[label], np.stack(np.unravel_index(choice, sizes), axis=1)], axis=1)
        log_L, cost_ML, width_L = log_LS[label, choice], cost_MLS[:, label, choice], channel_S[choice]
    return dict(zip(map(tuple, taken_LD.tolist()), log_L.tolist(), strict=True)), dropped


def _bounds(
    chain: _Chain, number: int, log_LS: FloatArray, cost_MLS: FloatArray, channel_S: npt.NDArray[np.int64]
) -> FloatArray:
    """The most that the paths through each choice can reach; -inf where no rest is within the limits."""
    bound_LS = np.full(log_LS.shape, np.inf)
    for price, ahead_W in zip(chain.prices, chain.ahead[number], strict=True):
        slack_LS = np.tensordot(price, 1.0 - cost_MLS, axes=1)
        np.minimum(bound_LS, log_LS + ahead_W[channel_S] + slack_LS, out=bound_LS)
    for cost_LS, needed in zip(cost_MLS, chain.needed[number], strict=True):
        bound_LS[cost_LS + needed[channel_S] > 1.0 + 1e-12] = -np.inf
    return bound_LS
