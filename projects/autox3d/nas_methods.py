"""Which search finds good networks at which cost? All methods, on the table of networks.

    python projects/autox3d/nas_methods.py

The methods that need no supernet run here, from the table alone; those that train one were run by `bench_searches.py`,
and what they found is looked up. A search's cost has the training of what it found added, as random search's networks
are trained when it ends; random search at that cost stands beside each search, the mean of many draws.
Writes results/nas_methods.json, a row a run with its seed, cost and command, and results/nas_methods.png: the test
accuracy of what each method would choose, against what it has spent, the median of its runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import simplejson
from bench_searches import RESULTS as SEARCHES
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table
from scipy import stats

from pytorchvideo_autox3d import nasbench
from pytorchvideo_autox3d.benchmarks import nas
from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.files import atomic_write, write_json
from pytorchvideo_autox3d.nasbench import NasBench
from pytorchvideo_autox3d.search import run_method
from pytorchvideo_autox3d.space import Architecture

RESULTS = Path(__file__).parent / "results"
# Random searches that a search is compared with, for one seed of the table.
DRAWS = 200


def main() -> None:
    """Run, print the tables, keep figures and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default=None, help="a table's file; default the package's")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--searches", type=Path, default=SEARCHES, help="what bench_searches.py has written")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    result = nas.run(table=args.table, repeats=args.repeats)
    nas.print_table(result)
    found = simplejson.loads(args.searches.read_text(encoding="utf8")) if args.searches.is_file() else []
    result["supernet_rows"] = looked_up(nasbench.load(args.table), found)
    print_searches(result["supernet_rows"])
    write_json(args.results / "nas_methods.json", result)
    with atomic_write(args.results / "nas_methods.png") as beside:
        draw(result).savefig(beside, format="png", dpi=150, bbox_inches="tight")


def looked_up(bench: NasBench, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each search with what its network reaches in the table, and what random search reaches at its cost.

    Raises:
        DataError: a search is of another space, or the table lacks trainings.
    """
    truth_N = bench.accuracies()
    rows = []
    for one in found:
        if one["space"] != bench.space.name:
            raise DataError(f"the search {one['method']}, {one['seed']} is of space {one['space']}, not the table's")
        within_N = bench.table.macs_N <= one["target_gflops"] * 1e9 * (1 + 1e-9)
        network = bench.index(Architecture.from_indices(bench.space, one["architecture"]))
        seeds = [s for s, column in zip(bench.seeds, bench.table.trained_NS.T, strict=True) if column[within_N].all()]
        if not seeds:
            raise DataError("no seed has every network within the searches' budget: the table is not complete")
        seed = seeds[one["seed"] % len(seeds)]
        trainer = nasbench.TableTrainer(bench, seed)
        retraining = trainer.cost(Architecture.from_indices(bench.space, one["architecture"]), 0, bench.epochs[-1])
        problem = nas.problem_of(bench, seed, one["target_gflops"] * 1e9 * (1 + 1e-9))
        of_one = float(np.mean([trainer.cost(net, 0, bench.epochs[-1])[0] for net in problem.candidates]))
        spent = one["macs"] + retraining[0]
        random = []
        for draw_seed in range(DRAWS):
            run = run_method("random", problem, trainer, most_macs=max(spent, 1.5 * of_one), seed=1000 + draw_seed)
            chosen = truth_N[bench.index(run.best().architecture)]
            random.append((chosen, nas.percentile(chosen, truth_N[within_N])))
        rows.append({
            **{key: one[key] for key in ("method", "seed", "entropy_left", "gflops", "peak_bytes", "command")},
            "table_seed": seed,
            "network": network,
            "accuracy": float(truth_N[network]),
            "percentile": nas.percentile(truth_N[network], truth_N[within_N]),
            "regret": float(truth_N[within_N].max() - truth_N[network]),
            "macs": spent,
            "seconds": one["cpu_seconds"] + retraining[1],
            "trainings": spent / of_one,
            "random_accuracy": float(np.mean([accuracy for accuracy, _ in random])),
            "random_percentile": float(np.mean([percentile for _, percentile in random])),
        })  # fmt: skip
    return rows


def print_searches(rows: list[dict[str, Any]]) -> None:
    """A line a method: medians over its seeds, and the paired difference to random search with its 95% interval."""
    table = Table(title="searches that train a supernet, the training of what was found included", box=box.SIMPLE)
    for name in ("method", "seeds", "percentile", "regret", "random at its cost", "points above it", "trainings",
                 "CPU s", "peak MiB"):  # fmt: skip
        table.add_column(name, no_wrap=True)
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        low, middle, high = np.percentile([row["percentile"] for row in own], (0, 50, 100))
        above = paired([row["accuracy"] - row["random_accuracy"] for row in own])
        medians = {key: float(np.median([row[key] for row in own])) for key in
                   ("regret", "random_percentile", "trainings", "seconds", "peak_bytes")}  # fmt: skip
        table.add_row(
            method, str(len(own)), f"{middle:.0f} ({low:.0f} to {high:.0f})", f"{medians['regret']:.1f}",
            f"{medians['random_percentile']:.0f}", above, f"{medians['trainings']:.1f}", f"{medians['seconds']:.0f}",
            f"{medians['peak_bytes'] / 2**20:.0f}",
        )  # fmt: skip
    Console(width=160).print(table)


def paired(differences: list[float]) -> str:
    """The mean of paired differences and its 95% interval by Student's t."""
    mean = float(np.mean(differences))
    if len(differences) < 2:
        return f"{mean:+.1f}"
    half = float(stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences))
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def draw(result: dict[str, Any]) -> Figure:
    """Best so far against cost: the median over runs, with the quartiles of random search as a band.

    Searches that train a supernet have nothing before they end: a dot each at the median of their seeds.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
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
    for number, method in enumerate(dict.fromkeys(row["method"] for row in result["supernet_rows"])):
        own = [row for row in result["supernet_rows"] if row["method"] == method]
        x, low, middle, high = (
            np.median([row["trainings"] for row in own]),
            *np.percentile([row["accuracy"] for row in own], (0, 50, 100)),
        )
        bar = [[middle - low], [high - middle]]
        axes.errorbar([x], [middle], yerr=bar, fmt="osD^v<>"[number % 7], capsize=2, label=method.replace("_", " "))
    axes.axhline(result["best_accuracy"], color="0.5", linewidth=0.8)
    axes.text(0, result["best_accuracy"], " best within the budget", va="bottom", fontsize=8, color="0.4")
    axes.set(xlabel="cost, whole trainings", ylabel="test top-1 of the choice so far, %")
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return figure


def sampled(curve: list[tuple[float, float]], grid: np.ndarray) -> np.ndarray:
    """A step function at the points of `grid`; NaN before its first step."""
    values = np.full(len(grid), np.nan)
    for cost, accuracy in curve:
        values[grid >= cost] = accuracy
    return values


if __name__ == "__main__":
    main()
