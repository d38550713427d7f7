"""The peak memory of a training step."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.analysis import peak_bytes_of


def state_bytes(modules: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> int:
    """Bytes of parameters, buffers and what the optimisers keep."""
    values = [tensor for module in modules for tensor in module.state_dict().values()]
    values += [value for optimizer in optimizers for held in optimizer.state.values() for value in held.values()]
    return sum(value.numel() * value.element_size() for value in values if isinstance(value, Tensor))


def peak_of_step(step: Callable[[], object], modules: Iterable[nn.Module], device: torch.device) -> int:
    """Bytes that a step holds at its peak beyond what was there before, gradients among them."""
    for module in modules:
        module.zero_grad(set_to_none=True)
    return peak_bytes_of(step, device)
