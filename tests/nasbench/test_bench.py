import dataclasses

import numpy as np
import pytest

from pytorchvideo_autox3d import nasbench
from pytorchvideo_autox3d.errors import DataError, SearchError
from pytorchvideo_autox3d.nasbench import NasBench
from pytorchvideo_autox3d.space import Architecture, load_space, space_from_dict, space_to_dict


@pytest.fixture
def network(space):
    """Network `number` in the table's order, spelt out: two of kernel, channels and expansion, then attention."""

    def at(number):
        kernel, channels, expansion, attention = ((number >> bit) & 1 for bit in (3, 2, 1, 0))
        return Architecture.from_indices(space, [kernel, channels, expansion, 0, 0, 0, 0, attention])

    return at


def test_query(table, network):
    bench = NasBench(table)
    trained = bench.query(network(6), seed=2)
    assert trained.accuracy == 100 * 62 / 200
    assert trained.val_accuracy == 100 * 124 / 400
    assert (trained.loss, trained.val_loss) == (0.25, 0.5)
    assert (trained.macs, trained.params, trained.seconds) == (1006, 56, 8.0)
    assert np.isnan(trained.milliseconds)
    assert bench.query(network(6)).accuracy == 100 * 61 / 200
    half = bench.query(network(6), seed=2, epoch=2)
    assert half.accuracy == 100 * 31 / 200
    assert half.seconds == 4.0


def test_what_is_not_there(table, space, network):
    bench = NasBench(table)
    for options in ({"seed": 3}, {"epoch": 0}, {"epoch": 3}, {"epoch": 5}):
        with pytest.raises(SearchError, match="nasbench"):
            bench.query(network(0), **options)
    data = space_to_dict(space)
    data["groups"][0]["channels"] = [8, 24]
    other = space_from_dict({**data, "name": "other"})
    with pytest.raises(SearchError, match="of space 'other', the table of 'tiny'"):
        bench.query(Architecture.from_indices(other, [0] * 8))


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("stem", "channels", 16, "stem: channels 16, the table's 8"),
        ("head", "hidden", 32, "head: hidden 32, the table's 16"),
        (
            1,
            "attentions",
            ["glore", "none"],
            r"group 2: attentions \('glore', 'none'\), the table's \('none', 'glore'\)",
        ),
    ],
)
def test_another_space_of_the_same_name(table, space, part, key, value, said):
    data = space_to_dict(space)
    (data["groups"][part] if isinstance(part, int) else data[part])[key] = value
    with pytest.raises(SearchError, match=f"nasbench: the network's space has {said}"):
        NasBench(table).query(Architecture.from_indices(space_from_dict(data), [0] * 8))


def test_a_space_of_more_groups(table, space):
    data = space_to_dict(space)
    data["groups"].append(data["groups"][-1])
    with pytest.raises(SearchError, match="has 3 groups, the table's 2"):
        NasBench(table).query(Architecture.from_indices(space_from_dict(data), [0] * 12))


@pytest.mark.parametrize("wrong", ["S", 3, None])
def test_what_is_no_architecture(table, wrong):
    with pytest.raises(SearchError, match=f"{wrong!r} is no Architecture"):
        NasBench(table).query(wrong)


def test_a_split_that_is_not_in_the_table(table):
    with pytest.raises(SearchError, match="no split 'train'; there are val, test"):
        NasBench(table).accuracies("train")


def test_an_empty_path_is_not_the_package_s_table():
    with pytest.raises(DataError, match="'': no such table"):
        nasbench.load("")


def test_incomplete_table(make_table, network):
    right = make_table().test_right_NSE.copy()
    right[5] = -1
    right[6, 0] = -1
    bench = NasBench(make_table(test_right_NSE=right))
    assert not bench.complete
    assert network(5) not in bench.architectures
    assert len(bench.architectures) == 15
    assert bench.query(network(6)).accuracy == 100 * 61.5 / 200  # of seeds 1 and 2
    with pytest.raises(SearchError, match="not trained from seed 0"):
        bench.query(network(6), seed=0)
    accuracies = bench.accuracies()
    assert np.isnan(accuracies[5])
    assert accuracies[6] == 100 * 61.5 / 200


def test_noise_ceiling(make_table):
    assert NasBench(make_table()).noise_ceiling() == pytest.approx(1.0)
    # Seeds of three networks, by hand: ranks 123, 132, 213. Against the mean of the others: 123 against the means of
    # (1, 2), (3, 1), (2, 3), that is 1.5, 2, 2.5: tau 1; 132 against (1+2, 2+1, 3+3): ties 1 and 2, pairs 13 +, 23 -:
    # tau 0; 213 against (1+1, 2+3, 3+2): ties 2 and 3, pairs 12 -, 13 +: tau 0.
    right = np.full((16, 3, 2), -1, np.int16)
    for column, ranks in enumerate(((1, 2, 3), (1, 3, 2), (2, 1, 3))):
        right[:3, column, 1] = ranks
    bench = NasBench(make_table(test_right_NSE=right))
    assert bench.noise_ceiling() == pytest.approx(1 / 3)
    # Two networks have the first seed, so it is left out: of 132 and 213 the pairs 12 and 23 -, 13 +.
    right[0, 0] = -1
    assert NasBench(make_table(test_right_NSE=right)).noise_ceiling() == pytest.approx(-1 / 3)
    right[0, 1] = -1
    assert np.isnan(NasBench(make_table(test_right_NSE=right)).noise_ceiling())


def test_the_package_s_table():
    bench = nasbench.load()
    assert bench.space == load_space("configs/spaces/nasbench.yaml")
    assert bench.seeds == (0, 1, 2)
    assert 200 <= bench.space.size <= 400
    assert len(bench.table.macs_N) == bench.space.size
    trained = [bench.query(net) for net in bench.architectures]
    assert all(0 < one.accuracy < 100 and one.seconds > 0 for one in trained)
    assert nasbench.bench.TABLE_FILE.stat().st_size < 1_000_000


def test_the_noise_ceiling_leaves_out_a_seed_that_has_just_begun():
    table = nasbench.load().table
    right = table.test_right_NSE.copy()
    right[:, 1:] = -1
    right[:30, 1] = right[:30, 0] - 1  # in the order of seed 0
    begun = right.copy()
    begun[:4, 2] = begun[3::-1, 0]  # and in the opposite one
    alone, beside = (NasBench(dataclasses.replace(table, test_right_NSE=one)).noise_ceiling() for one in (right, begun))
    assert alone == beside == pytest.approx(1.0)
