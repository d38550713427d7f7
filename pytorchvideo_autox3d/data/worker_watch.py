"""Keeps which file each worker of a loader is reading, so that a worker that stalls or dies is named with its file."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

import torch
from torch.utils.data import get_worker_info

from pytorchvideo_autox3d.errors import DataError

_IDLE = -1


class WorkerWatch:
    """The video that each worker is decoding and since when, in memory that the workers and this process share.

    Args:
        num_workers: of the loader.
        dataset: its `paths` name the videos; without them videos are named by their number.
        seconds: how long the loader waits for a batch before it gives up (`DataLoader`'s timeout); 0 is for ever.
    """

    def __init__(self, num_workers: int, dataset: Any, *, seconds: float) -> None:
        self._video = torch.full((num_workers,), _IDLE, dtype=torch.int64).share_memory_()
        self._since = torch.zeros(num_workers, dtype=torch.float64).share_memory_()
        self._dataset = dataset
        self._seconds = seconds

    @contextmanager
    def at(self, video: int) -> Iterator[None]:
        """In a worker: within the `with` block it is decoding `video`."""
        worker = get_worker_info()
        if worker is None:
            yield
            return
        self._since[worker.id] = time.monotonic()  # one clock for all processes of a machine
        self._video[worker.id] = video
        try:
            yield
        finally:
            self._video[worker.id] = _IDLE

    def batches(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Pass on the batches of a `DataLoader`, and say which files were in work where it fails.

        Raises:
            DataError: a worker stalled or died; names it, its file and for how long it has been at that.
        """
        try:
            yield from batches
        except RuntimeError as error:
            text = str(error)
            if "timed out" in text:
                what = f"no batch came within {self._seconds:g} s (AUTOX3D.LOADER_SECONDS)"
            elif "exited unexpectedly" in text or "is killed by signal" in text:
                what = f"a worker of the loader is gone ({' '.join(text.split())})"
            else:
                raise
            raise DataError(f"{what}: {self._busy()}") from error

    def _busy(self) -> str:
        """Which worker is decoding which file and for how long, the longest first, for a message."""
        now = time.monotonic()
        at = [(now - float(self._since[number]), number) for number in range(len(self._video))]
        busy = [(age, number) for age, number in sorted(at, reverse=True) if self._video[number] != _IDLE]
        if not busy:
            return "no worker had a file under way; is there enough memory for DATA_LOADER.NUM_WORKERS?"
        return "; ".join(
            f"worker {number} at {file_name(self._dataset, int(self._video[number]))} for {age:.0f} s"
            for age, number in busy
        )


def begin_worker(worker: int, *, imports: Sequence[str] = ()) -> None:
    """In a new worker: import what registers handlers and readers, and see to its end.

    Args:
        worker: its number; `DataLoader` gives it, and it is not used.
        imports: modules; a worker that was forked has them already.
    """
    die_with_parent()
    for module in imports:
        importlib.import_module(module)


def die_with_parent() -> None:
    """In a new worker: end it when the process that reads its batches has ended, for whatever reason.

    torch's own watch looks at the number of the parent process, which under a fork server is the server's: a job that
    was killed would leave its workers waiting for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="die-with-parent").start()


def file_name(dataset: Any, video: int) -> str:
    """The file of a video, or its number where a user's data set has no `paths`."""
    paths = getattr(dataset, "paths", None)
    return f"video {video}" if paths is None else str(paths[video])
