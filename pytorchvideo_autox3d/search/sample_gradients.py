"""What a search step does with each sample's loss: nothing, or a backward pass weighted by the sample's score."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from pytorchvideo_autox3d.search.parsec import OnlineSoftmaxGradient


class SampleGradient(Protocol):
    """The interface: for each sampled architecture, `part` is called once for each batch, and then `sample` once.

    `part` takes the architecture's loss on one batch; `sample` takes its score, which decides its weight.
    """

    def part(self, loss: Tensor) -> None: ...
    def sample(self, score: float) -> None: ...


class NoGradient:
    """Does nothing, for a step of alpha, which needs the losses alone."""

    def part(self, loss: Tensor) -> None: ...
    def sample(self, score: float) -> None: ...


class GradientOfOneBatch:
    """For a step of one batch: the score is known before the backward pass, so its factor multiplies the loss.

    Args:
        accumulator: sums the weighted gradients.
        scaler: of the precision.
    """

    def __init__(self, accumulator: OnlineSoftmaxGradient, scaler: torch.amp.GradScaler) -> None:
        self._accumulator, self._scaler = accumulator, scaler

    def part(self, loss: Tensor) -> None:
        self._loss = loss

    def sample(self, score: float) -> None:
        self._scaler.scale(self._loss * self._accumulator.factor(score)).backward()
        del self._loss


class GradientOfBatches:
    """For a step of several batches: the factor of the score multiplies the gradient after the backward passes.

    So the graph of each batch can be freed before the next is built.

    Args:
        accumulator: sums the weighted gradients.
        scaler: of the precision.
    """

    def __init__(self, accumulator: OnlineSoftmaxGradient, scaler: torch.amp.GradScaler) -> None:
        self._accumulator, self._scaler = accumulator, scaler
        self._begun = False

    def part(self, loss: Tensor) -> None:
        if not self._begun:
            self._accumulator.set_aside()
            self._begun = True
        self._scaler.scale(loss).backward()

    def sample(self, score: float) -> None:
        self._accumulator.add(score)
        self._begun = False
