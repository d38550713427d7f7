"""Keeps which file each worker of a loader is reading, so that a worker that stalls or dies is named with its file."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import re
import signal
import threading
import time
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any

import torch
from torch.utils.data import get_worker_info

from pytorchvideo_autox3d.errors import DataError

_IDLE = -1
_GONE = re.compile(r"DataLoader worker \(pid.*(exited unexpectedly|is killed by signal)")
_NO_FILE = "it had no file under way; is there enough memory for DATA_LOADER.NUM_WORKERS?"


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
        self._process = torch.zeros(num_workers, dtype=torch.int64).share_memory_()
        self._dataset = dataset
        self._seconds = seconds
        _watches.add(self)

    @contextmanager
    def at(self, video: int) -> Iterator[None]:
        """In a worker: within the `with` block it is decoding `video`."""
        worker = get_worker_info()
        if worker is None:
            yield
            return
        self._process[worker.id] = os.getpid()
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
            if "timed out" in str(error):
                what = f"no batch came within {self._seconds:g} s (AUTOX3D.LOADER_SECONDS)"
                raise DataError(f"{what}: {'; '.join(self.busy()) or _NO_FILE}") from error
            if (lost := lost_worker(error)) is not None:
                raise lost from error
            raise

    def busy(self, processes: Collection[int] | None = None) -> list[str]:
        """Which worker is decoding which file and for how long, the longest first, for a message.

        Args:
            processes: look at the workers with these process numbers; None looks at all.
        """
        now = time.monotonic()
        at = [(now - float(self._since[number]), number) for number in range(len(self._video))]
        return [
            f"worker {number} at {file_name(self._dataset, int(self._video[number]))} for {age:.0f} s"
            for age, number in sorted(at, reverse=True)
            if self._video[number] != _IDLE and (processes is None or int(self._process[number]) in processes)
        ]


# Those of this process's loaders; a worker's copy stands here too, where nobody asks.
_watches: weakref.WeakSet[WorkerWatch] = weakref.WeakSet()


def lost_worker(error: RuntimeError) -> DataError | None:
    """The error to raise in the place of torch's, if that says that a worker of a loader is gone; it names the file.

    torch raises it from a signal handler, wherever the main thread is at that moment.
    """
    text = " ".join(str(error).split())
    if not _GONE.match(text):
        return None
    processes = {int(number) for number in re.findall(r"\d+", text)}
    at = [line for watch in list(_watches) for line in watch.busy(processes)]
    return DataError(f"a worker of the loader is gone ({text}): {'; '.join(at) or _NO_FILE}")


@contextmanager
def naming_lost_workers() -> Iterator[None]:
    """Within the `with` block a worker that dies is named with its file, also while nobody waits for a batch.

    Raises:
        DataError: a worker died.
    """
    try:
        yield
    except RuntimeError as error:
        if (lost := lost_worker(error)) is not None:
            raise lost from error
        raise


def begin_worker(worker: int, *, imports: Sequence[str] = ()) -> None:
    """In a new worker: import what registers handlers and readers, and see to its end.

    Args:
        worker: its number; `DataLoader` gives it, and it is not used.
        imports: modules; a worker that was forked has them already.
    """
    leave_signals_to_parent()
    die_with_parent()
    for module in imports:
        importlib.import_module(module)


def leave_signals_to_parent() -> None:
    """In a new worker: outlive SIGINT and SIGTERM that come from anybody but the process that reads its batches.

    A terminal, torchrun and Slurm send them to every process of a job. A worker that went at once would take with it
    the batch that the job waits for, and so the checkpoint that it saves when it is asked to stop. The reader itself
    ends its workers by SIGTERM, also one that does not come back from a decode.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    # Threads that were there before, as in a worker that is not forked, don't have the mask: torchrun signals a group.
    with suppress(OSError):
        os.setsid()

    def watch() -> None:
        while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent.pid:
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True, name="leave-signals-to-parent").start()


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
