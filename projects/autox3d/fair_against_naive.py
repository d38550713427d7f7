"""Fair against naive channel selection, channels and expansion only (paper, section 5.2.2, Figure 4 and Table 4).

    python projects/autox3d/fair_against_naive.py      # two CPU hours; stop it, start it again
    python projects/autox3d/fair_against_naive.py --print

Five searches with each over spaces/channels.yaml on the bench data, all with one budget, the median of the space's
multiply-adds. Of each: the multiply-adds of the most probable architecture by epoch and at the end, and its accuracy
when trained on its own from three seeds by the table's recipe. Beside the fair ones, what SEARCH.BUDGET_FLOOR 0.95
derives from the same policies, trained likewise.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench_searches
import nasbench_recipe
import numpy as np
import simplejson
import torch
from bench_trainings import CLIP, mean_test, parsed_arguments, train_missing
from nas_methods import paired

from pytorchvideo_autox3d.analysis import CostTable
from pytorchvideo_autox3d.files import atomic_write, write_json
from pytorchvideo_autox3d.report.search import draw_search_curve
from pytorchvideo_autox3d.space import SearchSpace, load_space

FOLDER = Path(__file__).parent
SPACE = FOLDER / "spaces" / "channels.yaml"
COMMAND = "projects/autox3d/fair_against_naive.py"
SEARCHES = 5
FLOOR = 0.95
SELECTIONS = ("fair", "naive")
METHOD = replace(bench_searches.LONGER, derive="within_budgets", floor=FLOOR)
# What is trained: the most probable architecture, and of the fair searches the most probable that spends the budget.
DERIVED = {"fair": "most_likely", "naive": "most_likely", "fair, floor": "architecture"}
# "At the target" is within 5% of it.
TOLERANCE = 0.05


def main() -> None:
    """All searches and trainings; figures to results/fair_against_naive.json and .png."""
    args = parsed_arguments(__doc__, output="selection")
    kept = args.results / "fair_against_naive.json"
    if not args.print:
        target = median_gflops(load_space(SPACE))
        searched = run_searches(args, target)
        trainings = train_missing(
            networks(searched), data=args.data, journal=args.output, command=COMMAND, workers=args.workers
        )
        write_json(kept, {"target_gflops": target, "searches": searched, "trainings": trainings})
    result = simplejson.loads(kept.read_text(encoding="utf8"))
    with atomic_write(kept.with_suffix(".png")) as beside:
        draw(result).savefig(beside, format="png", dpi=150, bbox_inches="tight")
    print_summary(result)


def median_gflops(space: SearchSpace) -> float:
    """The median of 10,000 uniform draws, in 1e9 multiply-adds."""
    costs = CostTable(space, clip=CLIP, num_classes=nasbench_recipe.NUM_CLASSES).additive("macs")
    generator = torch.Generator().manual_seed(0)
    return float(np.median(costs.total(np.array([space.sample(generator).indices for _ in range(10000)])))) / 1e9


def run_searches(args: argparse.Namespace, target: float) -> list[dict[str, Any]]:
    """Searches with both selections, from five seeds each."""
    tasks = [
        (args.data, str(SPACE), replace(METHOD, selection=name), seed, target, name)
        for seed in range(SEARCHES)
        for name in SELECTIONS
    ]
    kept = argparse.Namespace(data=args.data, results=args.output / "searches.json", workers=args.workers)
    return sorted(bench_searches.run_missing(tasks, kept, COMMAND), key=lambda row: (row["method"], row["seed"]))


def networks(searched: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What is trained, by name: "<role> <search's seed>"."""
    return {
        f"{role} {row['seed']}": {"role": role, "space": str(SPACE), "choices": row[key]}
        for role, key in DERIVED.items()
        for row in searched
        if row["method"] == role.split(",")[0]
    }


def draw(result: dict[str, Any]) -> Any:
    """Figure 4: the mean over the seeds of each selection, epoch by epoch."""
    histories = {name: [row["history"] for row in result["searches"] if row["method"] == name] for name in SELECTIONS}
    mean = {name: mean_history(own) for name, own in histories.items()}
    warmup = METHOD.settings["warmup_epochs"]
    return draw_search_curve(mean, target_gflops=result["target_gflops"], warmup_epochs=warmup)


def mean_history(histories: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The mean over searches, epoch by epoch."""
    return [
        {key: float(np.mean([one[key] for one in epoch])) for key in epoch[0]} for epoch in zip(*histories, strict=True)
    ]


def print_summary(result: dict[str, Any]) -> None:
    """A line a role, then the paired differences of searches from the same seed."""
    target, test = result["target_gflops"], mean_test(result["trainings"])
    macs = {one["network"]: one["macs"] / 1e9 for one in result["trainings"]}
    print(f"target: {1e3 * target:.2f} M multiply-adds")
    for role in DERIVED:
        spent = np.array([macs[f"{role} {seed}"] for seed in range(SEARCHES)])
        accuracy = np.array([test[f"{role} {seed}"] for seed in range(SEARCHES)])
        near = int((np.abs(spent / target - 1) <= TOLERANCE).sum())
        print(
            f"{role}: {1e3 * spent.mean():.2f} M multiply-adds (sd {1e3 * spent.std(ddof=1):.2f}), "
            f"{100 * (spent.mean() / target - 1):+.1f}%, within {TOLERANCE:.0%} of the target {near} of {SEARCHES}; "
            f"retrained {accuracy.mean():.1f}% (sd {accuracy.std(ddof=1):.1f})"
        )
    for one, other in (("fair", "naive"), ("fair, floor", "naive"), ("fair, floor", "fair")):
        points = paired([test[f"{one} {seed}"] - test[f"{other} {seed}"] for seed in range(SEARCHES)])
        spent = paired([1e3 * (macs[f"{one} {seed}"] - macs[f"{other} {seed}"]) for seed in range(SEARCHES)])
        print(f"{one} against {other}: {points} points, {spent} M multiply-adds")


if __name__ == "__main__":
    main()
