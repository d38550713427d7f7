"""The policy's expected cost, and a cost weight that finds itself: an augmented Lagrangian for each budget.

The paper's hinge (equation 2) is 0 below the target, so that nothing but accuracy pulls a policy up to its budget. Here
the expected cost is to equal the target: the weight of a budget grows while the policy is too dear, and falls, below 0
where need be, while it is too cheap. Shapes: D decisions, M the most candidates of one; W widths that enter a group; K,
C, E, A its candidates.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pytorchvideo_autox3d.analysis import AdditiveCost
from pytorchvideo_autox3d.search.budget import METRICS, Budgets
from pytorchvideo_autox3d.search.policy import Policy


def expected_cost(policy: Policy, cost: AdditiveCost) -> Tensor:
    """The mean cost of the policy's architectures, exact and differentiable: a float64 scalar."""
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
    """Of each budget, (expected cost - target) / target; differentiable."""
    costs = [expected_cost(policy, budgets.additive(budget.metric)) for budget in budgets.budgets]
    return [
        cost / (METRICS[budget.metric].scale * budget.target) - 1.0
        for cost, budget in zip(costs, budgets.budgets, strict=True)
    ]


class Lagrangian:
    """Multipliers of the budgets, moved once a step.

    Args:
        budgets: a budget's weight is the constant of its quadratic term, which damps the swinging of the multiplier.
        rate: how far a multiplier moves a step, times the relative excess of the expected cost.
    """

    def __init__(self, budgets: Budgets, rate: float) -> None:
        self.budgets = budgets
        self.rate = rate
        self.multipliers = [0.0] * len(budgets.budgets)

    def penalty(self, policy: Policy, indices_KD: Tensor) -> Tensor:
        """What sampled architectures add to their loss: (multiplier + weight * excess) * (cost - target) / target."""
        costs = self.budgets.costs(indices_KD)
        total = torch.zeros(len(indices_KD), dtype=torch.float64)
        for budget, multiplier, excess in zip(
            self.budgets.budgets, self.multipliers, relative_excess(policy, self.budgets), strict=True
        ):
            weight = multiplier + budget.weight * float(excess.detach())
            total += weight * torch.from_numpy(costs[budget.metric] / budget.target - 1.0)
        return total

    def update(self, policy: Policy) -> None:
        """Move each multiplier by the rate times the excess of its budget."""
        excesses = [float(excess.detach()) for excess in relative_excess(policy, self.budgets)]
        self.multipliers = [m + self.rate * e for m, e in zip(self.multipliers, excesses, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """The multipliers."""
        return {"multipliers": list(self.multipliers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.multipliers = list(state["multipliers"])
