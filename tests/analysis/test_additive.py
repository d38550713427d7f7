"""Sums over groups against the table that they come from, and their range against enumeration."""

import itertools

import numpy as np

from pytorchvideo_autox3d.analysis import AdditiveCost, CostTable
from pytorchvideo_autox3d.space import load_space

COST = AdditiveCost(
    100.0,
    (
        # The kernel decides in the first group, in the second only the width that enters it.
        np.array([1.0, 2.0]).reshape(1, 2, 1, 1, 1) + np.zeros((1, 2, 2, 1, 1)),
        np.array([30.0, 10.0]).reshape(2, 1, 1, 1, 1),
    ),
    np.array([1000.0]),
)


def test_by_hand():
    rows = [[0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]]
    assert COST.total(rows).tolist() == [1131.0, 1112.0]
    assert COST.range() == (1111.0, 1132.0)
    assert [rest.tolist() for rest in COST.rest()] == [[1011.0], [1030.0, 1010.0], [1000.0]]


def test_agrees_with_the_table():
    space = load_space("table2")
    table = CostTable(space)
    draw = np.random.default_rng(0)
    rows = np.stack([draw.integers(len(decision.candidates), size=200) for decision in space.decisions], axis=1)
    costs = table.cost(rows)
    assert table.additive("macs").total(rows).tolist() == costs.macs.tolist()
    assert table.additive("params").total(rows).tolist() == costs.params.tolist()


def test_range_is_that_of_all_paths():
    draw = np.random.default_rng(1)
    cost = AdditiveCost(1.0, (draw.random((1, 2, 3, 1, 2)), draw.random((3, 1, 2, 2, 1))), draw.random(2))
    rows = list(itertools.product(*map(range, (2, 3, 1, 2, 1, 2, 2, 1))))
    assert np.allclose(cost.range(), (cost.total(rows).min(), cost.total(rows).max()))
