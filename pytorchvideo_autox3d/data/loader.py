"""Batches of clips, decoded by worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from pytorchvideo_autox3d.data.batch import ClipBatch, collate_clips
from pytorchvideo_autox3d.data.sampler import ClipBatchSampler, Key
from pytorchvideo_autox3d.errors import AutoX3DError


class ClipLoader:
    """Iterates over the `ClipBatch`es of an epoch; built by `build_loader`.

    Attributes:
        dataset: the data set whose items these are.
    """

    def __init__(self, dataset: Any, sampler: ClipBatchSampler, loader: DataLoader[Any]) -> None:
        self.dataset = dataset
        self._sampler = sampler
        self._loader = loader

    def __len__(self) -> int:
        """Batches of a whole epoch on this process, wherever it starts."""
        return len(self._sampler)

    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None:
        """Choose the epoch that the next iteration gives, and the batch it starts at (to resume within an epoch)."""
        self._sampler.epoch, self._sampler.start_batch = epoch, start_batch

    def __iter__(self) -> Iterator[ClipBatch]:
        for batch in self._loader:
            if isinstance(batch, AutoX3DError):
                raise batch
            yield batch


def build_loader(
    dataset: Any,
    *,
    batch_size: int,
    shuffle: bool,
    drop_last: bool,
    num_workers: int = 0,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
    multiprocessing_context: str | None = None,
) -> ClipLoader:
    """A loader over `dataset` for one of `world_size` processes; see `ClipBatchSampler` for who gets what.

    Args:
        dataset: gives a `ClipBatch` for a key (epoch, index); of length N.
        batch_size: videos a batch on this process; a batch of tests holds all views of each.
        num_workers: processes that decode; 0 decodes in this one. Each uses one thread and lives until the loader goes.
        pin_memory: put batches in page-locked memory; without a GPU it has no effect.
        multiprocessing_context: "fork", "spawn" or "forkserver"; None is the platform's default.

    Iterating raises `DecodeError` or `DataError`, one line naming the file, wherever the video was decoded.
    """
    sampler = ClipBatchSampler(
        len(dataset),
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=drop_last,
        seed=seed,
        rank=rank,
        world_size=world_size,
    )
    loader: DataLoader[Any] = DataLoader(
        _ErrorsAsItems(dataset),
        batch_sampler=sampler,
        collate_fn=_collate,
        num_workers=num_workers,
        pin_memory=pin_memory and torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        multiprocessing_context=multiprocessing_context if num_workers > 0 else None,
    )
    return ClipLoader(dataset, sampler, loader)


class _ErrorsAsItems(Dataset["ClipBatch | AutoX3DError"]):
    """Hands a user's error over as a value: raised in a worker it would arrive wrapped in that worker's traceback."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __getitem__(self, key: Key) -> ClipBatch | AutoX3DError:
        try:
            item: ClipBatch = self._dataset[key]
        except AutoX3DError as error:
            return error.with_traceback(None)
        return item


def _collate(items: Sequence[ClipBatch | AutoX3DError]) -> ClipBatch | AutoX3DError:
    clips = []
    for item in items:
        if isinstance(item, AutoX3DError):
            return item
        clips.append(item)
    return collate_clips(clips)
