"""The means of an epoch's scalars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class EpochMeans:
    """Means over the steps of an epoch, weighted by the clips in each, and the seconds spent."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._clips: dict[str, int] = {}
        self.data_time = 0.0
        self.compute_time = 0.0

    def add(self, scalars: Mapping[str, float], *, clips: int, data_time: float, compute_time: float) -> None:
        """Take in one step.

        Args:
            scalars: its values.
            clips: how many clips it learnt from, by which the values are weighted.
            data_time, compute_time: seconds.
        """
        for name, value in scalars.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * clips
            self._clips[name] = self._clips.get(name, 0) + clips
        self.data_time += data_time
        self.compute_time += compute_time

    def means(self) -> dict[str, float]:
        """The mean of each scalar so far."""
        return {name: total / self._clips[name] for name, total in self._sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """The sums so far, for a checkpoint inside an epoch."""
        return {
            "sums": dict(self._sums),
            "clips": dict(self._clips),
            "times": [self.data_time, self.compute_time],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict()` returned.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        self._sums = {name: float(total) for name, total in dict(state["sums"]).items()}
        self._clips = {name: int(count) for name, count in dict(state["clips"]).items()}
        self.data_time, self.compute_time = map(float, state["times"])
        if self._sums.keys() != self._clips.keys() or any(count < 1 for count in self._clips.values()):
            raise ValueError("sums without their clips")
