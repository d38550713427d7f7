import itertools

import pytest

from pytorchvideo_autox3d.errors import RegistryError, SearchError
from pytorchvideo_autox3d.search import Problem, run_method
from pytorchvideo_autox3d.space import Architecture, space_from_dict

GROUP = {"kernels": [[1, 3], [3, 3]], "expansions": [1.5, 3.0], "attentions": ["none"], "blocks": 1, "stride": 2}
SPACE = space_from_dict(
    {
        "name": "tiny", "stem": {"channels": 8}, "head": {"channels": 16, "hidden": 16},
        "groups": [{**GROUP, "channels": [8, 16]}, {**GROUP, "channels": [16, 24]}],
    }
)  # fmt: skip
SIZES = [range(len(decision.candidates)) for decision in SPACE.decisions]
NETWORKS = [Architecture.from_indices(SPACE, row) for row in itertools.product(*SIZES)]
PROBLEM = Problem(SPACE, NETWORKS, epochs=(1, 2, 4), clip=(4, 16, 16), num_classes=4)


class Counting:
    """Accuracy is the network's number, halved before the last epoch; an epoch costs 10 multiply-adds and a second."""

    def __init__(self):
        self.asked = []

    def cost(self, architecture, first, last):
        return 10.0 * (last - first), float(last - first)

    def validate(self, architecture, epoch):
        self.asked.append((NETWORKS.index(architecture), epoch))
        return NETWORKS.index(architecture) / (1 if epoch == 4 else 2)


def run(name, most_macs=1e9, seed=0, problem=PROBLEM):
    trainer = Counting()
    return run_method(name, problem, trainer, most_macs=most_macs, seed=seed), trainer.asked


def test_random_trains_each_network_once():
    found, asked = run("random")
    assert sorted(asked) == [(number, 4) for number in range(64)]
    assert asked != sorted(asked)
    assert found.best().architecture == NETWORKS[63]
    assert (found.spent.macs, found.spent.seconds) == (64 * 40.0, 64 * 4.0)
    assert run("random", seed=0)[1] == asked
    assert run("random", seed=1)[1] != asked


def test_the_limit_is_never_exceeded():
    for name in ("random", "evolution", "successive_halving"):
        found, _ = run(name, most_macs=405.0)
        assert found.spent.macs <= 405.0
        assert found.spent.macs > 405.0 - 40.0
    found, _ = run("random", most_macs=39.0)
    with pytest.raises(SearchError, match="trained no network"):
        found.best()


@pytest.mark.parametrize("seed", range(5))
def test_evolution_changes_one_decision_of_a_living_network(seed):
    _, asked = run("evolution", most_macs=40 * 30, seed=seed)
    numbers = [number for number, _ in asked]
    assert len(set(numbers)) == len(numbers) == 30
    for place in range(10, 20):  # before neighbours can run out
        alive = numbers[place - 10 : place]
        child = NETWORKS[numbers[place]].indices
        differences = [sum(a != b for a, b in zip(NETWORKS[one].indices, child, strict=True)) for one in alive]
        assert min(differences) == 1


def test_evolution_beats_random_where_neighbours_are_alike():
    def mean_best(name):
        return sum(NETWORKS.index(run(name, 40 * 20, seed)[0].best().architecture) for seed in range(20)) / 20

    assert mean_best("evolution") > mean_best("random")


def test_evolution_ends_when_all_are_trained():
    _, asked = run("evolution")
    assert sorted(number for number, _ in asked) == list(range(64))


def test_halving_by_hand():
    # 16 candidates for one epoch, the best 8 for two, the best 4 for four; a continued training costs the rest alone.
    found, asked = run("successive_halving", most_macs=16 * 10 + 8 * 10 + 4 * 20)
    assert [epoch for _, epoch in asked] == [1] * 16 + [2] * 8 + [4] * 4
    first = [number for number, _ in asked[:16]]
    assert [number for number, _ in asked[16:24]] == sorted(first, reverse=True)[:8]
    assert [number for number, _ in asked[24:]] == sorted(first, reverse=True)[:4]
    assert found.spent.macs == 320.0
    assert found.best().architecture == NETWORKS[max(first)]


def test_what_a_method_needs():
    with pytest.raises(SearchError, match="'parsec' trains a supernet, and there is none"):
        run("parsec")
    with pytest.raises(RegistryError, match="did you mean 'random'"):
        run("randm")
    with pytest.raises(SearchError, match="below the cheapest"):
        run("random", problem=Problem(SPACE, [], (4,), (4, 16, 16), 4))
