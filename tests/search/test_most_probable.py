"""The exact derivation against enumeration: of random tables, and on the paper's space against what is known of it."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.analysis import AdditiveCost, CostTable
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import most_probable as module
from pytorchvideo_autox3d.search.most_probable import Limit, most_probable
from pytorchvideo_autox3d.space import load_space


def random_problem(seed: int, groups: int, ties: bool):
    """Log-probabilities, additive costs of three kinds, and all paths, of a chain of small groups."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 4, size=(groups, 4))
    logs = []
    for size in sizes.reshape(-1):
        logits = draw.integers(0, 2, size) if ties else draw.standard_normal(size)
        logs.append(logits - np.log(np.exp(logits).sum()))
    widths = [1, *sizes[:, 1]]
    costs = [
        AdditiveCost(
            float(draw.random()),
            tuple(draw.random((width, *size)) for width, size in zip(widths, sizes, strict=False)),
            draw.random(widths[-1]),
        )
        for _ in range(3)
    ]
    return logs, costs, list(itertools.product(*(range(size) for size in sizes.reshape(-1))))


def best_by_enumeration(logs, limits, paths, count):
    values = [sum(log[index] for log, index in zip(logs, path, strict=True)) for path in paths]
    fits = np.ones(len(paths), bool)
    for limit in limits:
        # At a limit that is the least cost of all, sums in another order differ in their last digits.
        fits &= np.array([path_cost(limit.cost, path) for path in paths]) <= limit.most * (1 + 1e-12)
    return sorted(np.array(values)[fits], reverse=True)[:count]


def path_cost(cost: AdditiveCost, path) -> float:
    """By its definition, one group after another."""
    total, width = cost.fixed, 0
    for number, group in enumerate(cost.groups):
        choice = path[4 * number : 4 * number + 4]
        total += group[(width, *choice)]
        width = choice[1]
    return total + cost.head[width]


@settings(max_examples=60, deadline=None, database=None)
@given(
    seed=st.integers(0, 10**6),
    groups=st.integers(1, 2),
    ties=st.booleans(),
    shares=st.lists(st.floats(0.0, 1.1), max_size=3),
    count=st.integers(1, 12),
    keep=st.sampled_from([1, 7, 256]),
)
def test_finds_what_enumeration_finds(seed, groups, ties, shares, count, keep):
    logs, costs, paths = random_problem(seed, groups, ties)
    limits = [
        Limit(cost, low + share * (high - low))
        for cost, share in zip(costs, shares, strict=False)
        for low, high in [cost.range()]
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FIRST_WIDTH", keep)  # however few paths it begins with
        found = most_probable(logs, limits, count)
    assert [value for _, value in found] == pytest.approx(best_by_enumeration(logs, limits, paths, count))
    assert len({path for path, _ in found}) == len(found)
    for path, value in found:
        assert value == pytest.approx(sum(log[index] for log, index in zip(logs, path, strict=True)))
        assert all(path_cost(limit.cost, path) <= limit.most * (1 + 1e-9) for limit in limits)


def test_limits_that_nothing_meets_give_nothing():
    logs, (cost, *_), _ = random_problem(1, 2, ties=False)
    assert most_probable(logs, [Limit(cost, 0.99 * cost.range()[0])], 3) == []


def test_what_is_not_proved_is_an_error(monkeypatch):
    logs, costs, _ = random_problem(5, 2, ties=False)
    limits = [Limit(cost, 0.5 * sum(cost.range())) for cost in costs]
    monkeypatch.setattr(module, "_FIRST_WIDTH", 1)
    monkeypatch.setattr(module, "_LAST_WIDTH", 1)
    with pytest.raises(SearchError, match="not proved"):
        most_probable(logs, limits, 5)


def test_the_paper_s_space_is_no_larger_than_it_can_prove():
    """2.8e30 architectures, two budgets: nothing near the answer is better, one or two decisions away."""
    space, table = load_space("table2"), CostTable(load_space("table2"))
    draw = np.random.default_rng(0)
    logs = [np.log(draw.dirichlet(np.ones(len(decision.candidates)))) for decision in space.decisions]
    limits = [
        Limit(cost, low + 0.1 * (high - low))
        for cost in (table.additive("macs"), table.additive("params"))
        for low, high in [cost.range()]
    ]
    ((best, value),) = most_probable(logs, limits)
    assert value < sum(log.max() for log in logs)  # a limit binds
    steps = [(d, i) for d, log in enumerate(logs) for i in range(len(log)) if i != best[d]]
    near = [(step,) for step in steps]
    near += [pair for pair in itertools.combinations(steps, 2) if pair[0][0] != pair[1][0]]
    paths = np.array([best] * len(near))
    for row, changes in enumerate(near):
        for decision, index in changes:
            paths[row, decision] = index
    values = sum(log[paths[:, decision]] for decision, log in enumerate(logs))
    fits = np.all([limit.cost.total(paths) <= limit.most for limit in limits], axis=0)
    assert fits.sum() > 1000
    assert values[fits].max() <= value + 1e-9
