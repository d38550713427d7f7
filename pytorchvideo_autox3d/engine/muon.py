"""Muon: momentum whose directions are made equally long for matrices, plain momentum for what is no matrix.

torch.optim.Muon takes 2-D parameters alone; the matrices of a video network are convolutions of one tap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

# Coefficients of an odd quintic that pulls singular values to about 1 in five steps (Jordan et al., 2024, "Muon").
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5
# An orthogonal update moves a weight further than momentum does at the same rate; measured on the bench data.
MATRIX_LR_SCALE = 0.5


class Muon(torch.optim.Optimizer):
    """SGD with momentum; in groups with "orthogonal" the momentum's singular values are replaced by ones.

    Args:
        groups: parameter groups as torch's optimisers take them; "orthogonal" (default False) says that a group's
            parameters are matrices, in the sense of `is_matrix`. Their weight decay is decoupled.
        lr: the learning rate.
        momentum: from 0 up to below 1.
        nesterov: whether the step looks ahead by one step of momentum.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024).
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], *, lr: float, momentum: float = 0.9, nesterov: bool = True
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": 0.0, "orthogonal": False}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step over all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                (self._orthogonal_step if group["orthogonal"] else self._momentum_step)(parameters, group)
        return loss

    def _buffer(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        return buffer

    def _momentum_step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        sgd(
            parameters, [parameter.grad for parameter in parameters if parameter.grad is not None],
            [self._buffer(parameter) for parameter in parameters], weight_decay=group["weight_decay"],
            momentum=group["momentum"], lr=group["lr"], dampening=0.0, nesterov=group["nesterov"], maximize=False,
        )  # fmt: skip

    def _orthogonal_step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            assert parameter.grad is not None
            buffer = self._buffer(parameter).mul_(group["momentum"]).add_(parameter.grad)
            ahead = parameter.grad.add(buffer, alpha=group["momentum"]) if group["nesterov"] else buffer
            rows, columns = parameter.shape[:2]
            update = orthogonalized(ahead.reshape(rows, columns)).view_as(parameter)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            # By this factor the update's root mean square does not depend on the number of outputs.
            parameter.sub_(update, alpha=group["lr"] * max(1.0, rows / columns) ** 0.5)


def is_matrix(parameter: nn.Parameter) -> bool:
    """Whether a weight is a matrix of at least two columns: of a linear layer or of a convolution of one tap."""
    return parameter.ndim >= 2 and parameter.shape[1] > 1 and parameter.shape[:2].numel() == parameter.numel()


def orthogonalized(matrix_RC: Tensor) -> Tensor:
    """The matrix with singular values of about 1 (0.7 to 1.2) and the same singular vectors; zeros stay zeros.

    Args:
        matrix_RC: rows by columns.
    """
    a, b, c = _COEFFICIENTS
    tall = matrix_RC.shape[0] > matrix_RC.shape[1]
    x = matrix_RC.mT if tall else matrix_RC
    x = x / (x.norm() + 1e-7)
    for _ in range(_STEPS):
        square = x @ x.mT
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
