import itertools

import pytest

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.nasbench import NasBench, TableTrainer, candidates
from pytorchvideo_autox3d.space import Architecture


@pytest.fixture
def networks(space):
    choices = itertools.product((0, 1), repeat=4)
    return [Architecture.from_indices(space, [k, c, e, 0, 0, 0, 0, a]) for k, c, e, a in choices]


def test_cost_is_of_the_epochs_between(make_table, networks):
    trainer = TableTrainer(NasBench(make_table()), seed=1)
    # Three passes of 1003 multiply-adds over 100 videos an epoch; 8 seconds for all four epochs.
    assert trainer.cost(networks[3], 0, 4) == (3 * 1003 * 400.0, 8.0)
    assert trainer.cost(networks[3], 2, 4) == (3 * 1003 * 200.0, 4.0)
    assert trainer.validate(networks[3], 4) == 100 * 62 / 400


def test_candidates_within_a_budget(make_table, networks):
    right = make_table().test_right_NSE.copy()
    right[2, 1] = -1
    bench = NasBench(make_table(test_right_NSE=right))
    assert candidates(bench, 0, 1003) == networks[:4]
    assert candidates(bench, 1, 1003) == [networks[0], networks[1], networks[3]]
    with pytest.raises(SearchError, match=r"within 0.0009 M multiply-adds; the table's cheapest has 0.001 M"):
        candidates(bench, 0, 900)
    with pytest.raises(SearchError, match="no seed 9; there are 0, 1, 2"):
        candidates(bench, 9, 1e9)
