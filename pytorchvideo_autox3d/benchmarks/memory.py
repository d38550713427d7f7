"""The peak memory of a training step."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


def state_bytes(modules: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> int:
    """Bytes of parameters, buffers and what the optimisers keep."""
    values = [tensor for module in modules for tensor in module.state_dict().values()]
    values += [value for optimizer in optimizers for held in optimizer.state.values() for value in held.values()]
    return sum(value.numel() * value.element_size() for value in values if isinstance(value, Tensor))


def peak_of_step(step: Callable[[], object], modules: Iterable[nn.Module], device: torch.device) -> int:
    """Bytes that a step holds at its peak beyond what was there before, gradients among them.

    Workspaces of convolutions are included. On a CPU it is the highest running sum of the profiler's allocations and
    frees.
    """
    for module in modules:
        module.zero_grad(set_to_none=True)
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return torch.cuda.max_memory_allocated(device) - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    profiler: Any = profile.profiler
    events = [event for event in profiler.kineto_results.events() if event.name() == "[memory]"]
    level = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        level += event.nbytes()
        peak = max(peak, level)
    return peak
