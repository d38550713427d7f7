"""Batches of clips, decoded by worker processes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from pytorchvideo_autox3d.data.batch import ClipBatch, collate_clips
from pytorchvideo_autox3d.data.faults import Fault, FaultCounter, FaultPolicy
from pytorchvideo_autox3d.data.sampler import ClipBatchSampler, Key, Successors
from pytorchvideo_autox3d.data.worker_watch import WorkerWatch, begin_worker, file_name
from pytorchvideo_autox3d.errors import AutoX3DError, DataError, DecodeError


class ClipLoader:
    """Iterates over the `ClipBatch`es of an epoch; built by `build_loader`.

    Attributes:
        dataset: the data set that the items come from.
        faults: the videos that were skipped in all epochs so far, each counted when its batch is handed out.

    Raises:
        DecodeError: while iterating, a video can't be decoded, unless faults are skipped.
        DataError: while iterating, too many videos are bad, none is left for a batch, or a worker stalled or died.
    """

    def __init__(
        self,
        dataset: Any,
        sampler: ClipBatchSampler,
        loader: DataLoader[Any],
        faults: FaultCounter,
        watch: WorkerWatch,
    ) -> None:
        self.dataset = dataset
        self.faults = faults
        self._sampler = sampler
        self._loader = loader
        self._watch = watch
        self._full_batches = sampler.shuffle

    def __len__(self) -> int:
        """The number of batches of a whole epoch on this process, whichever batch it starts at."""
        return len(self._sampler)

    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None:
        """Choose the epoch of the following iterations.

        Args:
            epoch: from 0.
            start_batch: the batch that the next iteration starts at, to resume within an epoch; later ones start at 0.
        """
        self._sampler.epoch, self._sampler.start_batch = epoch, start_batch

    def leave_out(self, videos: Collection[int]) -> None:
        """Give none of these videos any more; the others stay with their process. Only for a loader in order."""
        self._sampler.leave_out(videos)

    def files(self, batch: ClipBatch) -> list[str]:
        """The file of every clip of a batch, each once."""
        return list(dict.fromkeys(file_name(self.dataset, int(video)) for video in batch.video_B))

    def __iter__(self) -> Iterator[ClipBatch]:
        for loaded in self._watch.batches(iter(self._loader)):
            if isinstance(loaded, AutoX3DError):
                raise loaded
            for fault in loaded.faults:
                self.faults.add(fault)
            if loaded.batch is not None:
                yield loaded.batch
            elif self._full_batches:
                raise DataError(f"no video that can be decoded in place of {loaded.faults[-1].message}")


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
    faults: FaultPolicy | None = None,
    stall_seconds: float = 0.0,
    worker_imports: Sequence[str] = (),
) -> ClipLoader:
    """A loader over `dataset` for one of `world_size` processes; `ClipBatchSampler` says which videos each gets.

    Args:
        dataset: gives a `ClipBatch` for a key (epoch, index); of length N.
        batch_size: videos in a batch on this process; a batch of a test holds all views of each.
        shuffle, drop_last, seed, rank, world_size: see `ClipBatchSampler`.
        num_workers: processes that decode; 0 decodes in this one. Each uses one thread and lives as long as the loader.
        pin_memory: put batches in page-locked memory; without a GPU it has no effect.
        multiprocessing_context: "fork", "spawn" or "forkserver"; None is the platform's default.
        faults: what happens with a video that can't be decoded; by default an error. With "skip", a shuffled loader
            gives the next video of this process's order in its place, with that video's own clip of the epoch, so that
            batches stay full and are the same on any number of workers. A loader in order leaves the video out, and so
            a batch of which no video is left.
        stall_seconds: give the workers up when no batch came for so long; 0 waits for ever.
        worker_imports: modules that a worker imports first, as one that is not forked lacks what they register.

    Raises:
        DataError: the batch size or the rank is out of range, or there are too few videos for one batch. `ClipLoader`
            says what iterating raises.
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
    policy = faults or FaultPolicy()
    successors = sampler.successors() if shuffle and policy.action == "skip" else None
    watch = WorkerWatch(num_workers, dataset, seconds=stall_seconds)
    loader: DataLoader[Any] = DataLoader(
        _FaultsAsItems(dataset, policy, successors, watch),
        batch_sampler=sampler,
        collate_fn=partial(_collate, refill=shuffle),
        num_workers=num_workers,
        pin_memory=pin_memory and torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        worker_init_fn=partial(begin_worker, imports=tuple(worker_imports)) if num_workers > 0 else None,
        timeout=stall_seconds if num_workers > 0 else 0,
        multiprocessing_context=multiprocessing_context if num_workers > 0 else None,
        # Else it draws from torch's global generator, once an epoch or once in all, depending on the workers.
        generator=torch.Generator().manual_seed(seed),
    )
    return ClipLoader(dataset, sampler, loader, FaultCounter(policy.limit), watch)


@dataclass(frozen=True)
class _Loaded:
    """An item or a batch on its way from a worker: what was decoded, and what could not be."""

    batch: ClipBatch | None
    faults: tuple[Fault, ...] = ()

    def pin_memory(self) -> _Loaded:
        """The same with its batch in page-locked memory; `DataLoader` calls it."""
        return self if self.batch is None else replace(self, batch=self.batch.pin_memory())


class _FaultsAsItems(Dataset["_Loaded | AutoX3DError"]):
    """Hands a user's error over as a value: raised in a worker it would arrive wrapped in that worker's traceback."""

    def __init__(self, dataset: Any, policy: FaultPolicy, successors: Successors | None, watch: WorkerWatch) -> None:
        self._dataset = dataset
        self._policy = policy
        self._successors = successors
        self._watch = watch

    def __getitem__(self, key: Key) -> _Loaded | AutoX3DError:
        faults: list[Fault] = []
        while True:
            try:
                with self._watch.at(key[1]):
                    return _Loaded(self._dataset[key], tuple(faults))
            except DecodeError as error:
                if self._policy.action == "error":
                    return error.with_traceback(None)
                faults.append(Fault(key[1], str(error)))
            except AutoX3DError as error:
                return error.with_traceback(None)
            if self._successors is None or len(faults) > self._policy.limit:
                return _Loaded(None, tuple(faults))
            key = self._successors.after(key)
            if any(fault.video == key[1] for fault in faults):  # round the whole list
                return _Loaded(None, tuple(faults))


def _collate(items: Sequence[_Loaded | AutoX3DError], *, refill: bool) -> _Loaded | AutoX3DError:
    clips: list[ClipBatch] = []
    faults: list[Fault] = []
    for item in items:
        if isinstance(item, AutoX3DError):
            return item
        faults += item.faults
        if item.batch is not None:
            clips.append(item.batch)
    short = refill and len(clips) < len(items)
    return _Loaded(collate_clips(clips) if clips and not short else None, tuple(faults))
