import itertools

import pytest
import torch

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search import Budget, Budgets, Evolution, Policy, cost_table, derive
from pytorchvideo_autox3d.search.evolution import evolve, first_population
from pytorchvideo_autox3d.space import Architecture


@pytest.fixture
def problem(make_pair):
    """A policy, and budgets that half of the space's range is within."""
    supernet, policy = make_pair()
    low, high = Budgets(cost_table(supernet)).range("gflops")
    return policy, Budgets(cost_table(supernet), [Budget("gflops", (low + high) / 2)])


def within(policy, budgets) -> list[Architecture]:
    rows = itertools.product(*(range(len(decision.candidates)) for decision in policy.space.decisions))
    every = [Architecture.from_indices(policy.space, row) for row in rows]
    return [one for one in every if budgets.cost_of(one)["gflops"] <= budgets.budgets[0].target]


def score(architecture) -> float:
    return float(sum(index * (place + 1) for place, index in enumerate(architecture.indices)))


def test_it_scores_each_once_within_the_budget_and_finds_the_best(problem):
    policy, budgets = problem
    scores = evolve(policy, budgets, score, Evolution(networks=30, population=8, sample=4))
    fitting = within(policy, budgets)
    assert len(scores) == 30
    assert set(scores) <= set(fitting)
    best = max(map(score, fitting))
    assert max(scores.values()) == best
    ranked = sorted(map(score, fitting), reverse=True)
    assert sum(scores.values()) / 30 > sum(ranked) / len(ranked)


def test_it_ends_when_nothing_is_left(problem):
    policy, budgets = problem
    scores = evolve(policy, budgets, score, Evolution(networks=10**4, population=8))
    assert set(scores) == set(within(policy, budgets))


def test_the_same_seed_finds_the_same(problem):
    policy, budgets = problem
    runs = [list(evolve(policy, budgets, score, Evolution(networks=20, population=8, seed=seed))) for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_a_tight_budget_is_met_without_luck(make_pair):
    supernet, _ = make_pair()
    policy = Policy(space=supernet.space)
    low, _ = Budgets(cost_table(supernet)).range("gflops")
    budgets = Budgets(cost_table(supernet), [Budget("gflops", low * 1.0001)])
    with torch.no_grad():  # draws are as dear as can be
        policy.alpha[torch.tensor(policy.sizes).cumsum(0) - 1] = 20.0
    (only,) = first_population(policy, budgets, 3, torch.Generator().manual_seed(0))
    assert only == Architecture.narrowest(supernet.space)


@pytest.mark.parametrize("floor", [0.7, 0.9])
def test_all_that_is_scored_spends_the_floor(problem, floor):
    policy, budgets = problem
    target = budgets.budgets[0].target
    spending = {one for one in within(policy, budgets) if budgets.cost_of(one)["gflops"] >= floor * target}
    assert spending
    scores = evolve(policy, budgets, score, Evolution(networks=10**4, population=8), floor=floor)
    assert set(scores) == spending
    found = derive(
        policy, budgets=budgets, method="evolution", score=score, floor=floor,
        evolution=Evolution(networks=10**4, population=8),
    )  # fmt: skip
    assert found.score == max(map(score, spending))


def test_a_floor_that_nothing_reaches_is_left_out(make_pair):
    supernet, policy = make_pair()
    costs = cost_table(supernet)
    low, _ = Budgets(costs).range("gflops")
    found = derive(
        policy, budgets=Budgets(costs, [Budget("gflops", low * 1.0001)]), method="evolution", score=score,
        floor=0.99999, evolution=Evolution(networks=4, population=2),
    )  # fmt: skip
    assert found.architecture == Architecture.narrowest(supernet.space)


def test_derive_by_evolution(problem):
    policy, budgets = problem
    found = derive(
        policy, budgets=budgets, method="evolution", score=score, evolution=Evolution(networks=30, population=8)
    )
    assert found.score == max(map(score, within(policy, budgets)))
    assert found.within_budgets
    with pytest.raises(SearchError, match="evolution needs a validation score"):
        derive(policy, budgets=budgets, method="evolution")
    with pytest.raises(SearchError, match=r"SEARCH.EVOLUTION_NETWORKS: 0 is below 1"):
        Evolution(networks=0)
