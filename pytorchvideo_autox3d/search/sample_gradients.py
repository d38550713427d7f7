"""What a search step does with each sample's loss: nothing, or a backward pass weighted by the sample's score."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from pytorchvideo_autox3d.search.parsec import OnlineSoftmaxGradient


class SampleGradient(Protocol):
    """Takes, for each sampled architecture, its loss on each batch (`part`) and then its score (`sample`)."""

    def part(self, loss: Tensor) -> None: ...
    def sample(self, score: float) -> None: ...


class NoGradient:
    """Alpha needs the losses alone."""

    def part(self, loss: Tensor) -> None: ...
    def sample(self, score: float) -> None: ...


class GradientOfOneBatch:
    """The score is known before the backward pass, so its factor goes into the loss."""

    def __init__(self, accumulator: OnlineSoftmaxGradient, scaler: torch.amp.GradScaler) -> None:
        self._accumulator, self._scaler = accumulator, scaler

    def part(self, loss: Tensor) -> None:
        self._loss = loss

    def sample(self, score: float) -> None:
        self._scaler.scale(self._loss * self._accumulator.factor(score)).backward()
        del self._loss


class GradientOfBatches:
    """Each batch's graph is freed before the next is built, so the score's factor comes after the backward passes."""

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
