"""NSGA-II over scores: what it may score, what it finds, and that it keeps what is cheap."""

import itertools

import pytest

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import Budget, Budgets, Evolution, Policy, cost_table, derive
from pytorchvideo_autox3d.search import evolution as module
from pytorchvideo_autox3d.search.evolution import evolve
from pytorchvideo_autox3d.space import Architecture

pytest.importorskip("pymoo")


@pytest.fixture
def policy(make_pair):
    supernet, _ = make_pair()
    return Policy(space=supernet.space)


@pytest.fixture
def budgets(make_pair):
    costs = cost_table(make_pair()[0])
    low, high = Budgets(costs).range("gflops")
    return Budgets(costs, [Budget("gflops", (low + high) / 2)])


def every(policy):
    rows = itertools.product(*(range(len(decision.candidates)) for decision in policy.space.decisions))
    return [Architecture.from_indices(policy.space, row) for row in rows]


def score(architecture) -> float:
    return float(sum(index * (place + 1) for place, index in enumerate(architecture.indices)))


def nsga2(networks, population=8, seed=0):
    return Evolution(networks=networks, population=population, seed=seed, algorithm="nsga2")


def test_it_scores_each_once_within_the_budget_and_finds_the_best(policy, budgets):
    calls = []

    def counted(architecture):
        calls.append(architecture)
        return score(architecture)

    scores = evolve(policy, budgets, counted, nsga2(40))
    target = budgets.budgets[0].target
    fitting = [one for one in every(policy) if budgets.cost_of(one)["gflops"] <= target]
    assert len(calls) == len(set(calls)) == len(scores) == 40
    assert set(scores) <= set(fitting)
    assert max(scores.values()) == max(map(score, fitting))
    found = derive(policy, budgets=budgets, method="evolution", score=score, evolution=nsga2(40))
    assert found.score == max(map(score, fitting))


def test_it_finds_the_front(policy, budgets):
    """What no other network beats in both: all of it is found, where regularised evolution leaves out the cheap end."""
    fitting = [one for one in every(policy) if budgets.allow(one)]
    cost = {one: budgets.cost_of(one)["gflops"] for one in fitting}
    front = {
        one
        for one in fitting
        if not any(
            score(other) >= score(one)
            and cost[other] <= cost[one]
            and (score(other), cost[other]) != (score(one), cost[one])
            for other in fitting
        )
    }
    missing = {
        algorithm: len(
            front - set(evolve(policy, budgets, score, Evolution(networks=60, population=16, algorithm=algorithm)))
        )
        for algorithm in ("nsga2", "regularised")
    }
    assert len(front) > 20
    assert missing["nsga2"] <= 1 < missing["regularised"]


def test_the_same_seed_finds_the_same(policy, budgets):
    runs = [list(evolve(policy, budgets, score, nsga2(20, seed=seed))) for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("population", [1, 2, 8])
def test_it_ends_when_nothing_new_is_found(policy, budgets, population):
    scores = evolve(policy, budgets, score, nsga2(10**4, population=population))
    assert 1 <= len(scores) <= sum(map(budgets.allow, every(policy)))


def test_without_a_budget(policy, make_pair):
    scores = evolve(policy, Budgets(cost_table(make_pair()[0])), score, nsga2(60))
    assert max(scores.values()) == max(map(score, every(policy)))


@pytest.mark.parametrize("floor", [0.7, 0.9])
def test_all_that_is_scored_spends_the_floor(policy, budgets, floor):
    target = budgets.budgets[0].target
    scores = evolve(policy, budgets, score, nsga2(30), floor=floor)
    assert scores
    assert all(floor * target <= budgets.cost_of(one)["gflops"] <= target for one in scores)


def test_pymoo_is_asked_for_before_the_search(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(SearchError, match=r"needs pymoo: pip install 'pytorchvideo_autox3d\[nsga2\]'"):
        nsga2(10)
    Evolution()


def test_an_unknown_algorithm():
    with pytest.raises(SearchError, match=r"SEARCH\.EVOLUTION_ALGORITHM: 'nsga3' is none of regularised, nsga2"):
        Evolution(algorithm="nsga3")
