"""The machine's own limits: bytes copied and multiply-adds done a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch


def synchronise(device: str) -> None:
    """Wait until a GPU has done what it was given; a CPU has."""
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
    """Multiply-adds a second of a product of float32 matrices of 1024: the kernels accumulate in float32."""
    size = 1024
    left = torch.ones(size, size, device=device)
    return size**3 / _fastest(lambda: left @ left, device)
