"""An average of the supernet's last weights, by which architectures are ranked in place of the weights themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pytorchvideo_autox3d.engine import Hook, TrainLoop
from pytorchvideo_autox3d.supernet import Supernet


class WeightAverage(Hook):
    """Exponential moving average of the weights, updated after every step (SEARCH.EMA_DECAY).

    The running statistics of batch norm are not averaged: before an architecture is ranked, its own are computed.

    Args:
        supernet: the supernet whose weights are averaged; it must already be on the device where the search runs.
        decay: how much of the old average each step keeps, in [0, 1). About the last 1 / (1 - decay) steps count.
    """

    def __init__(self, supernet: Supernet, decay: float) -> None:
        self._average = AveragedModel(supernet, multi_avg_fn=get_ema_multi_avg_fn(decay))
        self._source = supernet

    @property
    def supernet(self) -> Supernet:
        """The supernet of the averaged weights."""
        average = self._average.module
        assert isinstance(average, Supernet)
        return average

    def after_step(self, loop: TrainLoop) -> None:
        """Update the average with the weights that the step left."""
        self.update()

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the weights that the supernet has now."""
        self._average.update_parameters(self._source)

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights, and the number of updates that went into them."""
        return self._average.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict()` returned."""
        self._average.load_state_dict(state)
