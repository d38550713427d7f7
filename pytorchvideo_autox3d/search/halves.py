"""The two parts of the training list, one for the weights and one for alpha: the split, and batches of both at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from pytorchvideo_autox3d.engine.protocols import Loader, NamesFiles
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search.supernet_step import SearchBatch


class PairedLoader:
    """Batches of the weights' part of the list; after the warm-up each comes with a batch of alpha's part.

    Where alpha's part is the shorter one, it is gone through several times an epoch. Each such pass is an epoch of its
    own to alpha's loader, with another order and other clips.

    Args:
        weights: batches of the weights' part; its length is that of an epoch.
        policy: batches of alpha's part; None where alpha learns from the weights' batches or not at all.
        warmup_epochs: the number of first epochs in which alpha does not learn and gets no batch.
    """

    def __init__(self, weights: Loader, policy: Loader | None, *, warmup_epochs: int) -> None:
        self.weights = weights
        self.policy = policy
        self.warmup_epochs = warmup_epochs
        self._epoch, self._start_batch = 0, 0

    def __len__(self) -> int:
        return len(self.weights)

    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None:
        """Begin at batch `start_batch` of `epoch`, both counted from 0."""
        self._epoch, self._start_batch = epoch, start_batch
        self.weights.set_epoch(epoch, start_batch=start_batch)

    def __iter__(self) -> Iterator[SearchBatch]:
        if self.policy is None or self._epoch < self.warmup_epochs:
            yield from (SearchBatch(batch) for batch in self.weights)
        else:
            for batch, other in zip(self.weights, self._endless(self.policy), strict=False):
                yield SearchBatch(batch, other)

    def files(self, batch: SearchBatch) -> list[str]:
        """The files of the batch's two parts, for a loader that can name them; without the others."""
        names: list[str] = []
        for loader, part in ((self.weights, batch.weights), (self.policy, batch.policy)):
            if part is not None and isinstance(loader, NamesFiles):
                names += loader.files(part)
        return names

    def _endless(self, loader: Loader) -> Iterator[Any]:
        """Pass after pass over `loader`, from where the epoch starts; no two passes of a search are the same epoch."""
        passes_per_epoch = math.ceil(len(self.weights) / len(loader))
        number, start_batch = divmod(self._start_batch, len(loader))
        while True:
            loader.set_epoch(self._epoch * passes_per_epoch + number, start_batch=start_batch)
            yield from loader
            number, start_batch = number + 1, 0


def split_halves(count: int, share: float, *, seed: int) -> tuple[list[int], list[int]]:
    """Split a list at random into the videos that the weights learn from and those that alpha learns from.

    Args:
        count: how many videos the list has.
        share: alpha's part of them, inside (0, 1) (SEARCH.POLICY_SPLIT).
        seed: of the draw; the same seed gives the same split.

    Returns:
        The weights' indices into the list, then alpha's, each ascending.

    Raises:
        SearchError: the share is not inside (0, 1), or leaves a half without a video.
    """
    if not 0 < share < 1:
        raise SearchError(
            f"SEARCH.POLICY_SPLIT: {share} is not inside (0, 1); SEARCH.SHARED True learns both from the whole list"
        )
    policy = round(count * share)
    if not 0 < policy < count:
        raise SearchError(f"SEARCH.POLICY_SPLIT: {share} of a training list of {count} videos leaves an empty half")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return sorted(order[policy:]), sorted(order[:policy])
