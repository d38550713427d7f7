"""How much of alpha's gradient is signal: its mean over many steps against its spread from step to step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class GradientNoise:
    """Mean and spread of the gradients of an epoch, added up one at a time (Welford)."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: Tensor | None = None
        self._squares = 0.0

    def add(self, gradient: Tensor) -> None:
        """The gradient of one more step."""
        gradient = gradient.detach().double().cpu()
        self.count += 1
        if self._mean is None:
            self._mean = torch.zeros_like(gradient)
        before = gradient - self._mean
        self._mean = self._mean + before / self.count
        self._squares += float(before @ (gradient - self._mean))

    @property
    def signal_to_noise(self) -> float:
        """|E g| / sqrt(E |g - E g|^2) of one step; NaN before the second step.

        The squared length of the mean of n gradients is above that of E g by the variance over n; that is subtracted,
        so that pure noise gives about 0. A sum of n steps has sqrt(n) times this ratio: about 1 / ratio^2 steps are
        needed before the signal is as large as the noise.
        """
        if self.count < 2 or self._mean is None:
            return math.nan
        variance = self._squares / (self.count - 1)
        signal = float(self._mean @ self._mean) - variance / self.count
        return math.sqrt(max(0.0, signal) / variance) if variance > 0 else math.nan

    def state_dict(self) -> dict[str, Any]:
        """What a search that is resumed within an epoch goes on from."""
        return {"count": self.count, "mean": self._mean, "squares": self._squares}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.count, self._mean, self._squares = state["count"], state["mean"], state["squares"]
