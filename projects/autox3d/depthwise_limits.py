"""What bounds the depthwise kernels: each pass on maps in memory, on the same rows in the caches, and by how it stores.

    python projects/autox3d/depthwise_limits.py [--rounds 5] [--json FILE]

One thread, and that thread's own time: what else the machine does counts little. Milliseconds of the fastest round, for
4 clips. `cached` is the time of the same number of rows, of the same length, on maps that stay in the second-level
cache: what the pass costs where only loads from there and arithmetic count. `plain` and `past` are the pass on the
whole maps with ordinary stores, which read a line before they write it, and with stores past the caches; with `+` the
next reader of the result, a batch norm's statistics, is included. `copy` reads and writes a map like the input.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from pytorchvideo_autox3d.engine.memory import keep_freed_memory
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.kernels import batch_norm_cpu, depthwise_cpu

# Channels, rows and columns; kernel; stride. 13 frames: X3D-S.
SHAPES = (
    (24, 80, (5, 1, 1), 1),
    (54, 80, (3, 3, 3), 2),
    (54, 40, (3, 3, 3), 1),
    (108, 40, (3, 3, 3), 2),
    (108, 20, (3, 3, 3), 1),
    (216, 20, (3, 3, 3), 2),
)
ALWAYS, NEVER = 0, 1 << 60
_CACHED_ROWS = 4


def fastest(call: Callable[[], object], rounds: int) -> float:
    """Milliseconds of the thread's own time of the fastest of `rounds` calls after one."""
    times = []
    for number in range(rounds + 1):
        start = time.thread_time()
        call()
        if number > 0:
            times.append(1e3 * (time.thread_time() - start))
    return min(times)


def and_read(call: Callable[[], object], result: Tensor) -> Callable[[], object]:
    """A call that is followed by the next reader of its result."""
    return lambda: (call(), batch_norm_cpu.statistics(result))


def random_map(batch: int, channels: int, rows: int, columns: int) -> Tensor:
    """A map of 13 frames in channels_last_3d."""
    return torch.randn(batch, channels, 13, rows, columns).contiguous(memory_format=torch.channels_last_3d)


def measure(channels: int, size: int, kernel: tuple[int, int, int], stride: int, rounds: int) -> dict[str, float]:
    """The times of a shape by pass and experiment."""
    weight, strides, small = torch.randn(channels, 1, *kernel), (1, stride), -(-size // stride)
    found: dict[str, float] = {}
    for batch, rows in ((4, size), (1, _CACHED_ROWS)):
        x, grad = random_map(batch, channels, rows, size), random_map(batch, channels, -(-rows // stride), small)
        out, dx = torch.empty_like(grad), torch.empty_like(x)
        passes: dict[str, tuple[Callable[[], object], Tensor | None]] = {
            "forward": (lambda x=x, out=out: depthwise_cpu.correlate("forward", x, weight, out, strides), out),
            "input": (lambda g=grad, dx=dx: depthwise_cpu.correlate("input_gradient", g, weight, dx, strides), dx),
            "weight": (lambda g=grad, x=x: depthwise_cpu.weight_gradient(g, x, weight.shape, strides), None),
        }
        for name, (call, result) in passes.items():
            if batch == 1:
                found[f"{name} cached"] = fastest(call, 8 * rounds) * 4 * size / rows
                continue
            for stores, limit in (("plain", NEVER), ("past", ALWAYS)) if result is not None else (("plain", NEVER),):
                before, depthwise_cpu.PAST_CACHES_BYTES = depthwise_cpu.PAST_CACHES_BYTES, limit
                try:
                    found[f"{name} {stores}"] = fastest(call, rounds)
                    if result is not None:
                        found[f"{name} {stores}+"] = fastest(and_read(call, result), rounds)
                finally:
                    depthwise_cpu.PAST_CACHES_BYTES = before
        if batch == 4:
            found["copy"] = fastest(lambda x=x, dx=dx: dx.copy_(x), rounds)
    return found


def main() -> None:
    """Measure every shape and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    rows = []
    for channels, size, kernel, stride in SHAPES:
        found = measure(channels, size, kernel, stride, args.rounds)
        rows.append({"channels": channels, "size": size, "kernel": list(kernel), "stride": stride, **found})
        name = "x".join(map(str, kernel)) + (f" /{stride}" if stride > 1 else "")
        print(f"4 {channels} 13 {size} {size}, {name}: copy {found['copy']:.2f}", flush=True)
        for which in ("forward", "input", "weight"):
            figures = {key.partition(" ")[2]: value for key, value in found.items() if key.startswith(which)}
            print(f"    {which:8s}" + "  ".join(f"{key} {value:.2f}" for key, value in figures.items()), flush=True)
    if args.json:
        write_json(args.json, rows)


if __name__ == "__main__":
    main()
