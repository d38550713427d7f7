"""The two parts of the training list, the weights' and alpha's: how the list is parted, and batches of both at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from pytorchvideo_autox3d.engine.protocols import Loader, NamesFiles
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.search.supernet_step import SearchBatch


class PairedLoader:
    """Batches of the weights' part of the list, each with one of alpha's part once alpha learns.

    Where alpha's part is the shorter one, it is gone through several times an epoch, and every pass is an epoch of its
    own: another order and other clips.
    """

    def __init__(self, weights: Loader, policy: Loader | None, *, warmup_epochs: int) -> None:
        self.weights = weights
        self.policy = policy
        self.warmup_epochs = warmup_epochs
        self._epoch, self._start_batch = 0, 0

    def __len__(self) -> int:
        return len(self.weights)

    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None:
        self._epoch, self._start_batch = epoch, start_batch
        self.weights.set_epoch(epoch, start_batch=start_batch)

    def __iter__(self) -> Iterator[SearchBatch]:
        if self.policy is None or self._epoch < self.warmup_epochs:
            yield from (SearchBatch(batch) for batch in self.weights)
        else:
            for batch, other in zip(self.weights, self._endless(self.policy), strict=False):
                yield SearchBatch(batch, other)

    def files(self, batch: SearchBatch) -> list[str]:
        """The files of both halves, as far as their loaders name them."""
        names: list[str] = []
        for loader, part in ((self.weights, batch.weights), (self.policy, batch.policy)):
            if part is not None and isinstance(loader, NamesFiles):
                names += loader.files(part)
        return names

    def _endless(self, loader: Loader) -> Iterator[Any]:
        """Pass after pass over `loader`, from where the epoch starts; no two of a search have the same number."""
        passes_per_epoch = math.ceil(len(self.weights) / len(loader))
        number, start_batch = divmod(self._start_batch, len(loader))
        while True:
            loader.set_epoch(self._epoch * passes_per_epoch + number, start_batch=start_batch)
            yield from loader
            number, start_batch = number + 1, 0


def split_halves(count: int, share: float, *, seed: int) -> tuple[list[int], list[int]]:
    """Which videos of a list of `count` the weights learn from, and which alpha does: a random `share` of it.

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
