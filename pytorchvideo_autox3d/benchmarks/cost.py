"""`autox3d bench cost`: the cost of many architectures from `CostTable`, on one core."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table

from pytorchvideo_autox3d.analysis import CostTable, complexity
from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.models import check_attentions
from pytorchvideo_autox3d.space import Architecture, load_space


def run(
    count: int = 1_000_000,
    *,
    space: str = "table2",
    clip: tuple[int, int, int] = (13, 160, 160),
    repeats: int = 5,
    seed: int = 0,
) -> dict[str, Any]:
    """Compute the cost of many random architectures, and time it.

    A few are also computed one by one; `agree` says whether both ways gave the same integers.

    Args:
        count: how many architectures.
        space: a named space or a yaml file.
        clip: (T, H, W).
        repeats: how often it is timed; the seconds are the median. Tables and sampling are timed separately.
        seed: of the sampling.

    Raises:
        SpaceError: `count` is below one, or there is no such space.
    """
    if count < 1:
        raise SpaceError(f"count must be at least 1, got {count}")
    chosen = load_space(space)
    check_attentions(chosen, source=space)
    start = time.perf_counter()
    table = CostTable(chosen, clip=clip)
    build_seconds = time.perf_counter() - start
    generator = torch.Generator().manual_seed(seed)
    indices = chosen.sample_indices(count, generator).numpy().astype(np.uint8)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        costs = table.cost(indices)
        seconds.append(time.perf_counter() - start)
    checked = [complexity(Architecture.from_indices(chosen, row), clip=clip) for row in indices[:100].tolist()]
    agree = [(c.macs, c.params, c.peak_activation) for c in checked] == list(
        zip(*(values[:100].tolist() for values in costs), strict=True)
    )
    return {
        "architectures": count,
        "space": space,
        "clip": list(clip),
        "seconds": statistics.median(seconds),
        "table_seconds": build_seconds,
        "threads": 1,
        "agree": agree,
        "gflops": {f"{q}%": float(np.percentile(costs.macs, q)) / 1e9 for q in (0, 25, 50, 75, 100)},
    }


def print_table(result: dict[str, Any]) -> None:
    """Print what `run` returned."""
    table = Table("quantity", "value", box=box.SIMPLE_HEAD)
    frames, size, _ = result["clip"]
    table.add_row("architectures", f"{result['architectures']:,} of {result['space']} at {frames} x {size}^2")
    table.add_row("seconds, one core", f"{result['seconds']:.3f}")
    table.add_row("seconds to build the table", f"{result['table_seconds']:.3f}")
    table.add_row("equal to the cost one by one", "yes" if result["agree"] else "NO")
    spread = ", ".join(f"{name} {value:.2f}" for name, value in result["gflops"].items())
    table.add_row("GFLOPs, percentiles", spread)
    Console().print(table)
