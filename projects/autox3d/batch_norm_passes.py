"""Times the passes of the fused batch norm beside torch's batch norm and ReLU, for docs/performance.md.

    python projects/autox3d/batch_norm_passes.py [--json FILE]

One thread, and that thread's own time: what else the machine does counts little. Maps are those of X3D-S at 4 clips.
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
from pytorchvideo_autox3d.kernels import batch_norm_cpu

MAPS = ((24, 80), (54, 40), (108, 20), (216, 20), (432, 5))  # channels, height and width; 13 frames
OURS = ("statistics", "result", "sums", "gradient")


def passes(x: Tensor, grad: Tensor) -> dict[str, Callable[[], object]]:
    """The functions to time, by name."""
    channels = x.shape[1]
    ones, zeros = torch.ones(channels), torch.zeros(channels)
    arguments = (ones, zeros, zeros.clone(), ones.clone(), True, 0.1, 1e-5)
    normed, mean, deviation = torch.native_batch_norm(x, *arguments)
    out, copy = torch.relu(normed), torch.empty_like(x)
    rows = batch_norm_cpu.statistics(x)
    used = (rows[0], (rows[1] + 1e-5) ** -0.5, 0 * rows[0])
    return {
        "copy": lambda: copy.copy_(x),
        "norm": lambda: torch.native_batch_norm(x, *arguments),
        "relu": lambda: torch.relu(normed),
        "relu_back": lambda: torch.ops.aten.threshold_backward(grad, out, 0),
        "norm_back": lambda: torch.ops.aten.native_batch_norm_backward(
            grad, x, ones, zeros, ones, mean, deviation, True, 1e-5, [True, True, True]
        ),
        "statistics": lambda: batch_norm_cpu.statistics(x),
        "result": lambda: batch_norm_cpu.apply(x, used, None, "relu"),
        "sums": lambda: batch_norm_cpu.reduce(grad, x, used, None, "relu"),
        "gradient": lambda: batch_norm_cpu.gradient(grad, x, (*used, used[2], used[2]), None, "relu"),
    }


def measure(channels: int, size: int, repeats: int = 7) -> dict[str, float]:
    """Milliseconds of the fastest of `repeats` rounds, by pass."""
    x = torch.randn(4, channels, 13, size, size).contiguous(memory_format=torch.channels_last_3d)
    functions = passes(x, torch.randn_like(x))
    times: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(repeats + 1):
        for name, function in functions.items():
            start = time.thread_time()
            function()
            if number > 0:
                times[name].append(1e3 * (time.thread_time() - start))
    return {name: min(values) for name, values in times.items()}


def main() -> None:
    """Measure every map and print the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    rows = []
    for channels, size in MAPS:
        found = measure(channels, size)
        torchs = [found[name] for name in ("norm", "relu", "relu_back", "norm_back")]
        ours = [found[name] for name in OURS]
        rows.append({"channels": channels, "size": size, **found, "gain": sum(torchs) / sum(ours)})
        cells = (f"{found['copy']:.2f}", ", ".join(f"{v:.2f}" for v in torchs), ", ".join(f"{v:.2f}" for v in ours))
        print(f"| 4 {channels} 13 {size} {size} | {' | '.join(cells)} | {rows[-1]['gain']:.1f} |")
    if args.json:
        write_json(args.json, rows)


if __name__ == "__main__":
    main()
