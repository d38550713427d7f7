"""Which search finds good networks at which cost? The methods that need no supernet, on the table of networks.

    python projects/autox3d/nas_methods.py

Writes results/nas_methods.json, a row a run with its seed, cost and command, and results/nas_methods.png: the test
accuracy of what each method would choose, against what it has spent, the median of its runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pytorchvideo_autox3d.benchmarks import nas
from pytorchvideo_autox3d.files import atomic_write, write_json

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run, print the table, keep figures and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default=None, help="a table's file; default the package's")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    result = nas.run(table=args.table, repeats=args.repeats)
    nas.print_table(result)
    write_json(args.results / "nas_methods.json", result)
    with atomic_write(args.results / "nas_methods.png") as beside:
        draw(result).savefig(beside, format="png", dpi=150, bbox_inches="tight")


def draw(result: dict[str, Any]) -> Figure:
    """Best so far against cost: the median over runs, with the quartiles of random search as a band."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    grid = np.linspace(0, result["trainings"], 200)
    for number, method in enumerate(dict.fromkeys(row["method"] for row in result["rows"])):
        curves = np.array([sampled(row["curve"], grid) for row in result["rows"] if row["method"] == method])
        started = ~np.isnan(curves).any(axis=0)
        style = "-" if number < 10 and not method.startswith("zero_cost") else "--"
        low, middle, high = np.percentile(curves[:, started], (25, 50, 75), axis=0)
        (line,) = axes.plot(grid[started], middle, style, label=method.replace("_", " "))
        if method == "random":
            axes.fill_between(grid[started], low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.axhline(result["best_accuracy"], color="0.5", linewidth=0.8)
    axes.text(0, result["best_accuracy"], " best within the budget", va="bottom", fontsize=8, color="0.4")
    axes.set(xlabel="cost, whole trainings", ylabel="test top-1 of the choice so far, %")
    axes.legend(frameon=False, fontsize=8)
    return figure


def sampled(curve: list[tuple[float, float]], grid: np.ndarray) -> np.ndarray:
    """A step function at the points of `grid`; NaN before its first step."""
    values = np.full(len(grid), np.nan)
    for cost, accuracy in curve:
        values[grid >= cost] = accuracy
    return values


if __name__ == "__main__":
    main()
