"""Measured latency of models, which run in turn so that noise of the machine affects all of them equally."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Latency:
    """Latency of one forward pass in eval mode, in milliseconds.

    Args:
        median: over the repeats.
        fastest: the least of the repeats.
        slowest: the greatest of the repeats.
        repeats: how many were timed, after the warm-up.
    """

    median: float
    fastest: float
    slowest: float
    repeats: int


def measure_latency(
    runs: Mapping[str, Callable[[], object]], *, warm_up: int = 3, repeats: int = 20, device: str = "cpu"
) -> dict[str, Latency]:
    """Time functions in turn, round after round.

    Args:
        runs: functions by name.
        warm_up: rounds over all of them that are not timed.
        repeats: timed rounds.
        device: on which they run. On a GPU each is followed by a synchronisation, so that its own work is timed.

    Returns:
        The latency of each by name.
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


def _timed(run: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    run()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
