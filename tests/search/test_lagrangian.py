import itertools

import pytest
import torch

from pytorchvideo_autox3d.search import Budget, Budgets, cost_table, derive
from pytorchvideo_autox3d.search.lagrangian import Lagrangian, expected_cost, relative_excess
from pytorchvideo_autox3d.search.parsec import importance_weights, policy_gradient
from pytorchvideo_autox3d.space import Architecture


def everything(policy) -> list[Architecture]:
    rows = itertools.product(*(range(len(decision.candidates)) for decision in policy.space.decisions))
    return [Architecture.from_indices(policy.space, row) for row in rows]


def budget_at(supernet, share: float, weight: float = 1.0) -> Budgets:
    table = cost_table(supernet)
    low, high = Budgets(table).range("gflops")
    return Budgets(table, [Budget("gflops", low + share * (high - low), weight)])


def test_expected_cost_by_enumeration(trained):
    supernet, policy = trained
    budgets = budget_at(supernet, 0.5)
    every = everything(policy)
    share = torch.stack([policy.log_probability(one).exp() for one in every])
    for metric, scale in (("gflops", 1e9), ("params_m", 1e6)):
        costs = torch.tensor([budgets.cost_of(one)[metric] for one in every])
        wanted = (share * costs).sum()
        got = expected_cost(policy, budgets.additive(metric)) / scale
        assert float(got.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
        (gradient,) = torch.autograd.grad(got, policy.alpha, retain_graph=True)
        (by_hand,) = torch.autograd.grad(wanted, policy.alpha, retain_graph=True)
        torch.testing.assert_close(gradient, by_hand, rtol=1e-3, atol=float(wanted.detach()) * 1e-5)


def test_penalty_and_update_by_hand(trained):
    supernet, policy = trained
    lagrangian = Lagrangian(budget_at(supernet, 0.3, weight=2.0), 0.5)
    excess = float(relative_excess(policy, lagrangian.budgets)[0].detach())
    lagrangian.update(policy)
    assert lagrangian.multipliers == pytest.approx([0.5 * excess])
    indices_KD = policy.sample_indices(6, torch.Generator().manual_seed(0))
    target = lagrangian.budgets.budgets[0].target
    relative_K = lagrangian.budgets.costs(indices_KD)["gflops"] / target - 1.0
    wanted_K = (0.5 * excess + 2.0 * excess) * relative_K
    assert lagrangian.penalty(policy, indices_KD).tolist() == pytest.approx(wanted_K.tolist())
    other = Lagrangian(lagrangian.budgets, 0.5)
    other.load_state_dict(lagrangian.state_dict())
    assert other.multipliers == lagrangian.multipliers


@pytest.mark.parametrize("share", [0.25, 0.6])
def test_the_expected_cost_comes_to_the_target_from_both_sides(trained, share):
    # Nothing but the budget speaks: all likelihoods are the same. The hinge would leave a cheap policy where it is.
    supernet, policy = trained
    lagrangian = Lagrangian(budget_at(supernet, share), 0.1)
    optimizer = torch.optim.Adam([policy.alpha], lr=0.05)
    generator = torch.Generator().manual_seed(0)
    for _ in range(250):
        indices_KD = policy.sample_indices(8, generator)
        weight_K = importance_weights(-lagrangian.penalty(policy, indices_KD))
        policy.alpha.grad = -policy_gradient(policy, indices_KD, weight_K.float(), control_variate=True)
        optimizer.step()
        lagrangian.update(policy)
    assert abs(float(relative_excess(policy, lagrangian.budgets)[0].detach())) < 0.05


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.3, 0.6, 0.7, 0.9])
def test_a_floor_keeps_the_most_probable_one_near_its_target(trained, seed, share):
    supernet, policy = trained
    with torch.no_grad():
        policy.alpha.copy_(2 * torch.randn(policy.alpha.shape, generator=torch.Generator().manual_seed(seed)))
    budgets = budget_at(supernet, share)
    target = budgets.budgets[0].target
    found = derive(policy, budgets=budgets, floor=0.9)
    fitting = [one for one in everything(policy) if 0.9 * target <= budgets.cost_of(one)["gflops"] <= target]
    if not fitting:  # then any that meets the budget
        fitting = [one for one in everything(policy) if budgets.cost_of(one)["gflops"] <= target]
    assert found.architecture == max(fitting, key=lambda one: float(policy.log_probability(one).detach()))
