"""The policy's expected cost, and a cost weight that adjusts itself: an augmented Lagrangian for each budget.

The paper's hinge (equation 2) is 0 below the target, so that nothing but accuracy pulls a policy up to its budget. Here
the expected cost is brought to equal the target: the weight of a budget grows while the policy is too expensive, and
falls while it is too cheap, below 0 where need be.

Shapes: D decisions, M the most candidates of one; W widths that enter a group; K, C, E, A the candidates of a group
for kernel, channels, expansion and attention.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pytorchvideo_autox3d.analysis import AdditiveCost
from pytorchvideo_autox3d.search.budget import METRICS, Budgets
from pytorchvideo_autox3d.search.policy import Policy


def expected_cost(policy: Policy, cost: AdditiveCost) -> Tensor:
    """The exact mean cost over the architectures that the policy draws, in the unit of `cost`.

    Returns:
        A float64 scalar tensor, differentiable in `policy.alpha`.
    """
    table_DM = policy.log_probability_table().double().exp()
    rows = [row[:size] for row, size in zip(table_DM, policy.sizes, strict=True)]
    entering_W = torch.ones(1, dtype=torch.float64, device=table_DM.device)
    total = torch.full((), cost.fixed, dtype=torch.float64, device=table_DM.device)
    for number, group in enumerate(cost.groups):
        choice = rows[4 * number : 4 * number + 4]
        costs = torch.as_tensor(group, device=table_DM.device)
        total = total + torch.einsum("wkcea,w,k,c,e,a->", costs, entering_W, *choice)
        entering_W = choice[1]
    return total + torch.as_tensor(cost.head, device=table_DM.device) @ entering_W


def relative_excess(policy: Policy, budgets: Budgets) -> list[Tensor]:
    """(expected cost - target) / target of each budget, differentiable in `policy.alpha`; in the budgets' order."""
    costs = [expected_cost(policy, budgets.additive(budget.metric)) for budget in budgets.budgets]
    return [
        cost / (METRICS[budget.metric].scale * budget.target) - 1.0
        for cost, budget in zip(costs, budgets.budgets, strict=True)
    ]


class Lagrangian:
    """One multiplier for each budget, all beginning at 0 and updated once a step.

    Args:
        budgets: a budget's weight is the factor of its quadratic term, which damps the oscillation of the multiplier.
        rate: each step a multiplier moves by `rate` times the relative excess of the expected cost
            (SEARCH.LAGRANGIAN_LR).
    """

    def __init__(self, budgets: Budgets, rate: float) -> None:
        self.budgets = budgets
        self.rate = rate
        self.multipliers = [0.0] * len(budgets.budgets)

    def penalty(self, policy: Policy, indices_KD: Tensor) -> Tensor:
        """What the budgets add to the loss of each sampled architecture.

        It is the sum over budgets of (multiplier + weight * excess) * (cost - target) / target, where the excess is
        that of the policy's expected cost and the cost is the architecture's own.

        Args:
            policy: gives the expected costs.
            indices_KD: the architectures as candidate indices.

        Returns:
            float64 (K,).
        """
        costs = self.budgets.costs(indices_KD)
        total = torch.zeros(len(indices_KD), dtype=torch.float64)
        for budget, multiplier, excess in zip(
            self.budgets.budgets, self.multipliers, relative_excess(policy, self.budgets), strict=True
        ):
            weight = multiplier + budget.weight * float(excess.detach())
            total += weight * torch.from_numpy(costs[budget.metric] / budget.target - 1.0)
        return total

    def update(self, policy: Policy) -> None:
        """Move each multiplier by the rate times the relative excess of its budget."""
        excesses = [float(excess.detach()) for excess in relative_excess(policy, self.budgets)]
        self.multipliers = [m + self.rate * e for m, e in zip(self.multipliers, excesses, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """The multipliers, in the order of the budgets."""
        return {"multipliers": list(self.multipliers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict()` returned.

        Raises:
            ValueError: it is of another number of budgets.
        """
        multipliers = [float(one) for one in state["multipliers"]]
        if len(multipliers) != len(self.budgets.budgets):
            raise ValueError(f"{len(multipliers)} multipliers for {len(self.budgets.budgets)} budgets")
        self.multipliers = multipliers
