"""Peak memory: the most that a function holds beyond what was allocated before it ran."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pytorchvideo_autox3d.eval_mode import evaluating


def peak_bytes_of(run: Callable[[], object], device: torch.device) -> int:
    """The bytes that `run()` holds at its peak beyond what was allocated before, workspaces of convolutions included.

    On a GPU its allocator is asked; on a CPU it is the highest running sum of the allocations and frees that torch's
    profiler records.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    profiler: Any = profile.profiler
    events = [event for event in profiler.kineto_results.events() if event.name() == "[memory]"]
    level = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        level += event.nbytes()
        peak = max(peak, level)
    return peak


def peak_memory(model: nn.Module, clip_BCTHW: torch.Tensor) -> int:
    """Bytes that one forward pass in eval mode needs at its peak beyond the model and its input."""
    with evaluating(model):
        return peak_bytes_of(lambda: model(clip_BCTHW), clip_BCTHW.device)
