"""Measured latency and peak memory of models, interleaved so that a machine's noise hits all of them alike."""

from __future__ import annotations

import statistics
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Latency:
    """Latency of one forward pass in eval mode, in milliseconds.

    Args:
        median: over the repeats.
        fastest: the shortest of them.
        slowest: the longest of them.
        repeats: how many were timed, after the warm-up.
    """

    median: float
    fastest: float
    slowest: float
    repeats: int


def measure_latency(
    runs: Mapping[str, Callable[[], object]], *, warm_up: int = 3, repeats: int = 20, device: str = "cpu"
) -> dict[str, Latency]:
    """Time functions in turn, `repeats` rounds over all of them, after `warm_up` untimed rounds.

    On a GPU each is followed by a synchronisation, so that its own work is what is timed.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(warm_up + repeats):
        for name, run in runs.items():
            seconds = _timed(run, device)
            if number >= warm_up:
                times[name].append(1e3 * seconds)
    return {
        name: Latency(statistics.median(values), min(values), max(values), repeats) for name, values in times.items()
    }


def whole_network_ms(model: nn.Module, clip: tuple[int, int, int], *, batch: int = 1, threads: int = 1) -> float:
    """Median milliseconds of one forward pass of `batch` clips (T, H, W) on the CPU, in eval mode, channels last."""
    model = model.cpu().eval().to(memory_format=torch.channels_last_3d)
    clip_BCTHW = torch.zeros(batch, 3, *clip).contiguous(memory_format=torch.channels_last_3d)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            return measure_latency({"whole": lambda: model(clip_BCTHW)})["whole"].median
    finally:
        torch.set_num_threads(before)


def peak_memory(model: nn.Module, clip_BCTHW: torch.Tensor) -> int:
    """Bytes that one forward pass in eval mode needs at its peak beyond the model and its input.

    On a GPU as its allocator saw it, workspaces included; on the CPU the tensors alive at once.
    """
    model.eval()
    with torch.no_grad():
        if clip_BCTHW.is_cuda:
            torch.cuda.reset_peak_memory_stats(clip_BCTHW.device)
            before = torch.cuda.memory_allocated(clip_BCTHW.device)
            model(clip_BCTHW)
            return torch.cuda.max_memory_allocated(clip_BCTHW.device) - before
        known = [clip_BCTHW, *model.parameters(), *model.buffers()]
        with _LiveBytes(known) as live:
            model(clip_BCTHW)
    return live.peak


class _LiveBytes(TorchDispatchMode):
    """Bytes of the storages that operators have made and nothing has freed yet; views share their storage."""

    def __init__(self, known: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.level = self.peak = 0
        self._alive = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in tree_leaves(out):
            if isinstance(value, torch.Tensor):
                self._track(value.untyped_storage())
        return out

    def _track(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return
        self._alive.add(key)
        self.level += size
        self.peak = max(self.peak, self.level)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.level -= size


def _timed(run: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    run()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
