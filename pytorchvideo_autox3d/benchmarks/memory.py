"""The peak memory of a training step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.analysis import peak_bytes_of


@dataclass(frozen=True)
class Case:
    """What is measured: a step, and the modules and optimisers whose memory belongs to it."""

    step: Callable[[], object]
    modules: Sequence[nn.Module]
    optimizers: Sequence[torch.optim.Optimizer]


def state_bytes(modules: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> int:
    """The bytes of parameters, buffers and the optimisers' states."""
    values = [tensor for module in modules for tensor in module.state_dict().values()]
    values += [value for optimizer in optimizers for held in optimizer.state.values() for value in held.values()]
    return sum(value.numel() * value.element_size() for value in values if isinstance(value, Tensor))


def peak_of_step(step: Callable[[], object], modules: Iterable[nn.Module], device: torch.device) -> int:
    """The bytes that a step holds at its peak beyond what was allocated before, gradients included."""
    for module in modules:
        module.zero_grad(set_to_none=True)
    return peak_bytes_of(step, device)


def peak_bytes(case: Case, device: torch.device) -> int:
    """The bytes of the case's own state, plus what a step holds beside it at its peak."""
    case.step()
    return state_bytes(case.modules, case.optimizers) + peak_of_step(case.step, case.modules, device)
