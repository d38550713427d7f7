"""A count of what a search has spent so far: multiply-adds, CPU time and memory."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch

# A backward pass computes the gradients of the inputs and of the weights, each the size of the forward pass.
PASSES_WITH_GRADIENT = 3


class Ledger:
    """Counts what a search spends; the counts go on after a resume.

    Attributes:
        macs: multiply-adds of all passes so far, over all processes; a forward pass with its backward pass counts as
            three forward passes.
    """

    def __init__(self) -> None:
        self.macs = 0.0
        self._seconds_before = 0.0
        self._start = time.process_time()

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all threads of this process, plus that of the runs that it was resumed from."""
        return self._seconds_before + time.process_time() - self._start

    @property
    def peak_bytes(self) -> int:
        """The most memory held at once in this run: on the GPU where one is in use, else resident in main memory."""
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            return torch.cuda.max_memory_allocated()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak

    def add(self, macs_of_a_clip: float, clips: int, *, gradient: bool) -> None:
        """Count one forward pass over `clips` clips, and its backward pass with `gradient`."""
        self.macs += macs_of_a_clip * clips * (PASSES_WITH_GRADIENT if gradient else 1)

    def to_dict(self) -> dict[str, float]:
        """Plain data for JSON: macs, cpu_seconds and peak_bytes."""
        return {"macs": self.macs, "cpu_seconds": self.cpu_seconds, "peak_bytes": self.peak_bytes}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed search needs in order to count on; peak memory is not part of it."""
        return {"macs": self.macs, "cpu_seconds": self.cpu_seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict()` returned."""
        self.macs, self._seconds_before = float(state["macs"]), float(state["cpu_seconds"])
        self._start = time.process_time()
