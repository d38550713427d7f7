import pytest

from tests.search.standalone import NETWORKS, run


def test_random_trains_each_network_once():
    found, asked = run("random")
    assert sorted(asked) == [(number, 4) for number in range(64)]
    assert asked != sorted(asked)
    assert found.best().architecture == NETWORKS[63]
    assert (found.spent.macs, found.spent.seconds) == (64 * 40.0, 64 * 4.0)
    assert run("random", seed=0)[1] == asked
    assert run("random", seed=1)[1] != asked


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
