"""The machine's own limits: bytes copied a second, and multiply-adds a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch


def synchronise(device: str) -> None:
    """Wait until a GPU has finished its work; on a CPU there is nothing to wait for."""
    if device == "cuda":
        torch.cuda.synchronize()


def _fastest(call: Callable[[], Any], device: str, repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        synchronise(device)
        start = time.perf_counter()
        call()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return min(times)


def copy_rate(device: str) -> float:
    """Bytes read plus bytes written a second by a copy of 256 MB between two tensors."""
    source = torch.ones(64_000_000, device=device)
    target = torch.empty_like(source).copy_(source)
    return 2 * source.nbytes / _fastest(lambda: target.copy_(source), device)


def multiply_add_rate(device: str) -> float:
    """Multiply-adds a second of a product of 1024 x 1024 float32 matrices; the kernels accumulate in float32 too."""
    size = 1024
    left = torch.ones(size, size, device=device)
    return size**3 / _fastest(lambda: left @ left, device)
