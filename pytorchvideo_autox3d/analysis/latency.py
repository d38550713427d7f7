"""Measured latency and peak memory of models, interleaved so that a machine's noise hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Latency:
    """Latency of one forward pass in eval mode, in milliseconds.

    Args:
        median: over the repeats.
        fastest: the shortest of them.
        slowest: the longest of them.
        repeats: how many were timed, after the warm-up.
    """

    median: float
    fastest: float
    slowest: float
    repeats: int


def measure_latency(
    runs: Mapping[str, Callable[[], object]], *, warm_up: int = 3, repeats: int = 20, device: str = "cpu"
) -> dict[str, Latency]:
    """Time functions in turn, `repeats` rounds over all of them, after `warm_up` untimed rounds.

    On a GPU each is followed by a synchronisation, so that its own work is what is timed.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(warm_up + repeats):
        for name, run in runs.items():
            seconds = _timed(run, device)
            if number >= warm_up:
                times[name].append(1e3 * seconds)
    return {
        name: Latency(statistics.median(values), min(values), max(values), repeats) for name, values in times.items()
    }


def peak_memory(model: nn.Module, clip_BCTHW: torch.Tensor) -> int:
    """Bytes that one forward pass in eval mode needs at its peak beyond the model and its input.

    On a GPU as its allocator saw it; on the CPU from torch's profiler, summing allocations and frees.
    """
    model.eval()
    with torch.no_grad():
        if clip_BCTHW.is_cuda:
            torch.cuda.reset_peak_memory_stats(clip_BCTHW.device)
            before = torch.cuda.memory_allocated(clip_BCTHW.device)
            model(clip_BCTHW)
            return torch.cuda.max_memory_allocated(clip_BCTHW.device) - before
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
            model(clip_BCTHW)
    return _peak_of(profile)


def _timed(run: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    run()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _peak_of(profile: torch.profiler.profile) -> int:
    """The highest running sum of the profiler's memory events, in order of time."""
    profiler: Any = profile.profiler
    events = [event for event in profiler.kineto_results.events() if event.name() == "[memory]"]
    level = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        level += event.nbytes()
        peak = max(peak, level)
    return peak
