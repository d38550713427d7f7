"""How much of alpha's gradient is signal: its mean over many steps against its spread from step to step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

_MOST_STEPS = 2**53  # that a float counts one by one


class GradientNoise:
    """Running mean and spread of the gradients of an epoch, by Welford's method."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: Tensor | None = None
        self._squares = 0.0

    def add(self, gradient: Tensor) -> None:
        """Take in the gradient of one more step, a vector of the same length each time."""
        gradient = gradient.detach().double().cpu()
        self.count += 1
        if self._mean is None:
            self._mean = torch.zeros_like(gradient)
        before = gradient - self._mean
        self._mean = self._mean + before / self.count
        self._squares += float(before @ (gradient - self._mean))

    @property
    def signal_to_noise(self) -> float:
        """The signal-to-noise ratio of one step's gradient g, |E g| / sqrt(E |g - E g|^2); NaN before the second step.

        The mean of n gradients has an expected squared length of |E g|^2 plus the variance over n. That second part is
        subtracted, so that pure noise gives about 0. The sum of n steps has sqrt(n) times this ratio, so about
        1 / ratio^2 steps are needed before the signal is as large as the noise.
        """
        if self.count < 2 or self._mean is None:
            return math.nan
        variance = self._squares / (self.count - 1)
        signal = float(self._mean @ self._mean) - variance / self.count
        return math.sqrt(max(0.0, signal) / variance) if variance > 0 else math.nan

    def state_dict(self) -> dict[str, Any]:
        """The count, mean and sum of squares so far, for a search that is resumed within an epoch."""
        return {"count": self.count, "mean": self._mean, "squares": self._squares}

    def load_state_dict(self, state: dict[str, Any], *, length: int) -> None:
        """Restore what `state_dict()` returned.

        Args:
            state: the state.
            length: of the gradients to come.

        Raises:
            ValueError: it is of gradients of another length.
        """
        mean = None if state["mean"] is None else state["mean"].double()
        if (mean is not None and mean.shape != (length,)) or not 0 <= state["count"] < _MOST_STEPS:
            raise ValueError(f"a mean of {state['count']} gradients, of other lengths than {length}")
        self.count, self._mean, self._squares = int(state["count"]), mean, float(state["squares"])
