import itertools

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.analysis import complexity
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import Budget, Budgets, cost_table
from pytorchvideo_autox3d.search.budget import hinge
from pytorchvideo_autox3d.space import Architecture


@pytest.fixture
def table(make_pair):
    return cost_table(make_pair()[0])


def all_indices(space) -> torch.Tensor:
    return torch.tensor(list(itertools.product(*(range(len(d.candidates)) for d in space.decisions))))


def costs_of_all(space) -> list[tuple[float, float]]:
    found = [
        complexity(Architecture.from_indices(space, row), clip=(2, 8, 8), num_classes=3)
        for row in all_indices(space).tolist()
    ]
    return [(one.macs / 1e9, one.params / 1e6) for one in found]


def test_hinge_is_equation_2():
    assert hinge(np.array([1.0, 2.0, 3.0]), 2.0).tolist() == [0.0, 0.0, 0.5]


def test_penalty_sums_over_budgets(space, table):
    costs = costs_of_all(space)
    gflops, params = (sorted(column) for column in zip(*costs, strict=True))
    limits = [Budget("gflops", gflops[20], 2.0), Budget("params_m", params[10], 0.5)]
    expected = [2.0 * max(g - gflops[20], 0) / gflops[20] + 0.5 * max(p - params[10], 0) / params[10] for g, p in costs]
    budgets = Budgets(table, limits)
    assert budgets.penalty(all_indices(space)).tolist() == pytest.approx(expected)
    assert Budgets(table).penalty(all_indices(space)[:3]).tolist() == [0, 0, 0]


def test_range_is_that_of_the_enumeration(space, table):
    gflops, params = zip(*costs_of_all(space), strict=True)
    assert Budgets(table).range("gflops") == pytest.approx((min(gflops), max(gflops)))
    assert Budgets(table).range("params_m") == pytest.approx((min(params), max(params)))


def test_targets_out_of_reach_are_refused_with_the_numbers(table):
    low, high = Budgets(table).range("gflops")
    with pytest.raises(SearchError, match=r"SEARCH.TARGET_GFLOPS.*below the cheapest network.*spans"):
        Budgets(table, [Budget("gflops", low / 2)])
    with pytest.raises(SearchError, match=r"not below the dearest"):
        Budgets(table, [Budget("gflops", high)])
    with pytest.raises(SearchError, match=r"SEARCH.TARGET_PARAMS_M"):
        Budgets(table, [Budget("params_m", 1e-9)])


@pytest.mark.parametrize("factor", [1e3, 1e9, 1e-3])
def test_a_slip_of_the_unit_is_named(table, factor):
    low, high = Budgets(table).range("gflops")
    middle = (low + high) / 2
    with pytest.raises(SearchError, match=f"the unit is GFLOPs: was {middle:g} meant"):
        Budgets(table, [Budget("gflops", middle * factor)])


def test_bad_budgets():
    with pytest.raises(SearchError, match=r"none of gflops, params_m"):
        Budget("latency", 1.0)
    with pytest.raises(SearchError, match=r"SEARCH.TARGET_GFLOPS: a target of -1"):
        Budget("gflops", -1)


@pytest.mark.parametrize("weight", [-1, float("inf"), float("nan")])
def test_a_weight_that_is_negative_or_not_finite_names_its_key(weight):
    with pytest.raises(SearchError, match=f"^SEARCH.BUDGETS: a weight of {weight} is negative or not finite"):
        Budget("gflops", 1, weight, "SEARCH.BUDGETS")


@pytest.mark.parametrize("target", [float("inf"), float("nan")])
def test_a_target_that_is_not_finite_names_its_key(target):
    with pytest.raises(SearchError, match=f"^SEARCH.TARGET_GFLOPS: a target of {target} is not above 0 and finite"):
        Budget("gflops", target)


@pytest.mark.parametrize("key", ["", "SEARCH.BUDGETS"])
def test_two_budgets_for_one_metric_name_their_key(table, key):
    low, high = Budgets(table).range("gflops")
    middle = Budget("gflops", (low + high) / 2, 1.0, key)
    with pytest.raises(SearchError, match=f"^{key or 'SEARCH.TARGET_GFLOPS'}: two budgets for one metric, gflops"):
        Budgets(table, [middle, middle])


def test_a_check_says_by_how_much(space, table):
    low, high = Budgets(table).range("gflops")
    target = (low + high) / 2
    dearest = Architecture.from_indices(space, [len(decision.candidates) - 1 for decision in space.decisions])
    (check,) = Budgets(table, [Budget("gflops", target)]).checks(dearest)
    assert not check.met
    assert check.to_dict()["excess"] == pytest.approx(high / target - 1)
    assert str(check).startswith("MISSED: ")
    assert f"({100 * (high / target - 1):+.1f}%)" in str(check)
