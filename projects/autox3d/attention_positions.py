"""Attention positions: searched against placed by hand, on a fixed backbone (paper, section 5.2.1 and Table 3).

    python projects/autox3d/attention_positions.py      # three quarters of an hour of CPU; stop it, start it again
    python projects/autox3d/attention_positions.py --print

The backbone is spaces/attention.yaml without attention, on the bench data. By hand: GloRe after the last two blocks of
each stage in turn, and after all of the last stage. Searched, from five seeds: the most probable positions within a
budget between the backbone and the dearest. Every network is trained on its own from three seeds by the table's recipe.
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
from bench_trainings import CLIP, SEEDS, parsed_arguments, train_missing
from matplotlib.figure import Figure
from nas_methods import paired

from pytorchvideo_autox3d.analysis import complexity
from pytorchvideo_autox3d.files import atomic_write, write_json
from pytorchvideo_autox3d.space import Architecture, SearchSpace, load_space, stages

FOLDER = Path(__file__).parent
SPACE = FOLDER / "spaces" / "attention.yaml"
COMMAND = "projects/autox3d/attention_positions.py"
SEARCHES = 5
# Over the backbone's multiply-adds; the paper's searched positions cost 1.24 times X3D-S, its dearest by hand 1.49.
BUDGET = 1.4
SEARCHED = "searched"


def main() -> None:
    """All rows; figures to results/attention_positions.json and .png."""
    args = parsed_arguments(__doc__, output="attention")
    kept = args.results / "attention_positions.json"
    if not args.print:
        space = load_space(SPACE)
        backbone = complexity(by_hand(space)["backbone"], clip=CLIP, num_classes=nasbench_recipe.NUM_CLASSES)
        target = BUDGET * backbone.macs / 1e9
        searched = run_searches(args, target)
        trainings = train_missing(
            networks(space, searched), data=args.data, journal=args.output, command=COMMAND, workers=args.workers
        )
        write_json(kept, {"target_gflops": target, "searches": searched, "trainings": trainings})
    result = simplejson.loads(kept.read_text(encoding="utf8"))
    with atomic_write(kept.with_suffix(".png")) as beside:
        draw(means(result["trainings"])).savefig(beside, format="png", dpi=150, bbox_inches="tight")
    print_summary(result)


def run_searches(args: argparse.Namespace, target: float) -> list[dict[str, Any]]:
    """Searches by recipe "ours" from five seeds."""
    method = replace(bench_searches.METHODS["ours"], derive="within_budgets")
    tasks = [(args.data, str(SPACE), method, seed, target, SEARCHED) for seed in range(SEARCHES)]
    kept = argparse.Namespace(data=args.data, results=args.output / "searches.json", workers=args.workers)
    return sorted(bench_searches.run_missing(tasks, kept, COMMAND), key=lambda row: row["seed"])


def networks(space: SearchSpace, searched: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What is trained, by name: those by hand, and one for each search."""
    named = {
        name: {"role": name, "space": str(SPACE), "choices": list(net.indices)} for name, net in by_hand(space).items()
    }
    for row in searched:
        named[f"{SEARCHED} {row['seed']}"] = {"role": SEARCHED, "space": str(SPACE), "choices": row["architecture"]}
    return named


def by_hand(space: SearchSpace) -> dict[str, Architecture]:
    """The rows of Table 3 in small: none, two in each stage, all of the last stage."""
    placed: dict[str, tuple[int, ...]] = {"backbone": ()}
    for number, groups in enumerate(stages(space), start=1):
        placed[f"2 in stage {number}"] = groups[-2:]
    placed["all of the last stage"] = stages(space)[-1]
    return {name: with_attention(space, groups) for name, groups in placed.items()}


def with_attention(space: SearchSpace, groups: tuple[int, ...]) -> Architecture:
    """The backbone with GloRe after these groups (0-based)."""
    indices = [
        decision.candidates.index("glore") if decision.field == "attention" and decision.group in groups else 0
        for decision in space.decisions
    ]
    return Architecture.from_indices(space, indices)


def means(trainings: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By role: the mean accuracy over all its trainings, their standard deviation, and the multiply-adds.

    Two searches may find one network: its trainings count once in the deviation.
    """
    result = {}
    for role in dict.fromkeys(one["role"] for one in trainings):
        own = [one for one in trainings if one["role"] == role]
        test = np.array([one["test"] for one in own])
        macs = float(np.mean([one["macs"] for one in own]))
        distinct = {(tuple(one["choices"]), one["seed"]): one["test"] for one in own}
        deviation = float(np.std(list(distinct.values()), ddof=1))
        result[role] = {"test": float(test.mean()), "test_sd": deviation, "macs": macs}
    return result


def print_summary(result: dict[str, Any]) -> None:
    """A line a role; then what the searched ones are ahead by, paired by the seed of the training."""
    trainings, space = result["trainings"], load_space(SPACE)
    for row in result["searches"]:
        net = Architecture.from_indices(space, row["architecture"])
        blocks = [number for number, choice in enumerate(net.groups, start=1) if choice.attention != "none"]
        print(f"search {row['seed']}: GloRe after blocks {blocks or 'none'}")
    rows = means(trainings)
    for role, one in rows.items():
        print(f"{role:<22} {one['macs'] / 1e6:>6.2f} M multiply-adds {one['test']:>5.1f}% (sd {one['test_sd']:.1f})")

    def by_seed(role: str) -> list[float]:
        tests = [[one["test"] for one in trainings if (one["role"], one["seed"]) == (role, seed)] for seed in SEEDS]
        return [float(np.mean(values)) for values in tests]

    for role in rows:
        if role != SEARCHED:
            ahead = [own - other for own, other in zip(by_seed(SEARCHED), by_seed(role), strict=True)]
            print(f"searched against {role}: {paired(ahead)} points")


def draw(rows: dict[str, dict[str, float]]) -> Figure:
    """Accuracy against multiply-adds, a point a row of the table."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, one in rows.items():
        axes.errorbar(one["macs"] / 1e6, one["test"], yerr=one["test_sd"], fmt="o", capsize=2, label=name)
    axes.set(xlabel="multiply-adds, 1e6", ylabel="top-1 trained on its own, %")
    axes.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    main()
