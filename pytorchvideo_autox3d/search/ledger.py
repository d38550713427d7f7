"""What a search has spent so far: multiply-adds, CPU time, memory."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch

# A backward pass computes the gradients of the inputs and of the weights, each the size of the forward pass.
PASSES_WITH_GRADIENT = 3


class Ledger:
    """Counts as the search goes, also across a resume.

    Attributes:
        macs: multiply-adds of all passes so far, over all processes; a pass with its backward counts three times.
    """

    def __init__(self) -> None:
        self.macs = 0.0
        self._seconds_before = 0.0
        self._start = time.process_time()

    @property
    def cpu_seconds(self) -> float:
        """CPU time of this process, all its threads, and of the runs that it goes on from."""
        return self._seconds_before + time.process_time() - self._start

    @property
    def peak_bytes(self) -> int:
        """The most memory held at once: allocated on the GPU where there is one, else resident of this process."""
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            return torch.cuda.max_memory_allocated()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak

    def add(self, macs_of_a_clip: float, clips: int, *, gradient: bool) -> None:
        """One pass over `clips` clips."""
        self.macs += macs_of_a_clip * clips * (PASSES_WITH_GRADIENT if gradient else 1)

    def to_dict(self) -> dict[str, float]:
        """Plain data for JSON."""
        return {"macs": self.macs, "cpu_seconds": self.cpu_seconds, "peak_bytes": self.peak_bytes}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed search goes on from."""
        return {"macs": self.macs, "cpu_seconds": self.cpu_seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.macs, self._seconds_before = state["macs"], state["cpu_seconds"]
        self._start = time.process_time()
