"""Do the bench data tell networks apart? The four things that they must show, measured.

    python projects/autox3d/qualify_bench.py [--data output/nasbench/data]

1. The best networks of the table reach 70% to 92% after full training.
2. Within a budget at the median of multiply-adds, the 95th percentile of networks is at least 5 standard errors of a
   three-seed mean above the median.
3. A network that sees no motion (all kernels 1 x 3^2, no temporal convolution in the stem) can't tell a programme
   from its opposite: 50% is chance.
4. The table's best network gains less than 2 points when it is trained twice as long.

1 and 2 come from the table, 3 and 4 from six trainings here, which are kept and not done again.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import nasbench_recipe as recipe
import numpy as np
import simplejson
import torch
from train_nasbench import RECIPE, SEEDS

from pytorchvideo_autox3d import nasbench
from pytorchvideo_autox3d.data.tools.bench_motion import PROGRAMMES, SURFACES
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.nasbench import NasBench
from pytorchvideo_autox3d.space import Architecture

RESULTS = Path(__file__).parent / "results" / "bench_data.json"


def main() -> None:
    """Measure, print a line each, and write results/bench_data.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("output/nasbench/data"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench = nasbench.load()
    result: dict[str, Any] = spread(bench)
    kept = simplejson.loads(args.results.read_text(encoding="utf8")) if args.results.is_file() else {}
    if kept.get("recipe") != RECIPE.to_dict():
        kept = {}
    result["recipe"] = RECIPE.to_dict()
    for key in ("no_motion", "twice_as_long"):
        result[key] = {row["seed"]: row for row in kept.get(key, [])}
    data = recipe.load_bench(args.data)
    for seed in SEEDS:
        if seed not in result["no_motion"]:
            result["no_motion"][seed] = without_motion(bench, data, seed)
        best = result["best_network"]
        if result["twice_as_long"].get(seed, {}).get("network") != best:
            result["twice_as_long"][seed] = twice_as_long(bench, data, best, seed)
        written = {**result, **{key: list(result[key].values()) for key in ("no_motion", "twice_as_long")}}
        write_json(args.results, written)
    print_lines(written)


def spread(bench: NasBench) -> dict[str, Any]:
    """What the table says: the best network, and how far networks within a budget differ beside their noise."""
    table = bench.table
    accuracy_N = bench.accuracies()
    trained_N = ~np.isnan(accuracy_N)
    budget = float(np.median(table.macs_N))
    within_N = trained_N & (table.macs_N <= budget)
    single_SN = np.stack([bench.accuracies(seed=seed) for seed in bench.seeds])
    several_N = (~np.isnan(single_SN)).sum(axis=0) >= 2
    # Of one training, pooled over the networks that have several; of the mean of three, by the root of three.
    deviation = float(np.sqrt(np.nanvar(single_SN[:, several_N], axis=0, ddof=1).mean())) if several_N.any() else None
    p95, median = (float(np.percentile(accuracy_N[within_N], q)) for q in (95, 50))
    error = deviation / np.sqrt(len(bench.seeds)) if deviation else None
    return {
        "trained": int(table.trained_NS.sum()),
        "epochs": bench.epochs[-1],
        "best_network": int(np.nanargmax(accuracy_N)),
        "best_accuracy": float(np.nanmax(accuracy_N)),
        "lowest_accuracy": float(np.nanmin(accuracy_N)),
        "budget_macs": budget,
        "within_budget": {"median": median, "p95": p95, "networks": int(within_N.sum())},
        "deviation_of_one_training": deviation,
        "standard_error_of_three": error,
        "p95_above_median_in_standard_errors": (p95 - median) / error if error else None,
    }


def without_motion(bench: NasBench, data: dict[str, recipe.Videos], seed: int) -> dict[str, Any]:
    """Train the space's widest network with every kernel of one frame, and ask it for programmes."""
    groups = tuple(dataclasses.replace(group, kernels=((1, 3),)) for group in bench.space.groups)
    space = dataclasses.replace(bench.space, name="one-frame", groups=groups)
    net, curves = recipe.train(Architecture.widest(space), data, RECIPE, seed=seed, stem="table2")
    test = data["test"]
    return {"seed": seed, "test": 100.0 * curves["test_right"][-1] / len(test), **programme_accuracy(net, test)}


def programme_accuracy(net: torch.nn.Module, videos: recipe.Videos) -> dict[str, float]:
    """Percent of the videos whose programme is told: among all of them, and from its opposite alone."""
    count = len(PROGRAMMES)
    scores_VP = recipe.logits(net, videos).softmax(dim=1).unflatten(1, (-1, count, len(SURFACES))).sum(dim=(1, 3))
    programme_V = videos.label_V // len(SURFACES) % count
    own_V = scores_VP.gather(1, programme_V[:, None])[:, 0]
    # Opposites stand beside each other in PROGRAMMES.
    opposite_V = scores_VP.gather(1, (programme_V ^ 1)[:, None])[:, 0]
    return {
        "programme": 100.0 * float((scores_VP.argmax(dim=1) == programme_V).float().mean()),
        "programme_or_opposite": 100.0 * float((own_V > opposite_V).float().mean()),
    }


def twice_as_long(bench: NasBench, data: dict[str, recipe.Videos], network: int, seed: int) -> dict[str, Any]:
    """Train a network of the table for twice the epochs."""
    architecture = nasbench.table.all_architectures(bench.space)[network]
    longer = dataclasses.replace(RECIPE, epochs=2 * RECIPE.epochs)
    net, curves = recipe.train(architecture, data, longer, seed=seed)
    once = float(bench.accuracies(seed=seed)[network])
    twice = 100.0 * curves["test_right"][-1] / len(data["test"])
    return {"seed": seed, "network": network, "once": once, "twice": twice, **programme_accuracy(net, data["test"])}


def print_lines(result: dict[str, Any]) -> None:
    """Each of the four beside what it must be."""
    within = result["within_budget"]
    errors = result["p95_above_median_in_standard_errors"]
    gains = [row["twice"] - row["once"] for row in result["twice_as_long"]]
    pair = np.mean([row["programme_or_opposite"] for row in result["no_motion"]])
    programme = np.mean([row["programme"] for row in result["no_motion"]])
    print(f"best network: {result['best_accuracy']:.1f}% (70 to 92)")
    print(
        f"within the budget: 95th percentile {within['p95']:.1f}%, median {within['median']:.1f}%: "
        f"{'unknown' if errors is None else f'{errors:.1f}'} standard errors (5 or more)"
    )
    print(f"without motion: programme from its opposite {pair:.1f}% (chance 50), of all {programme:.1f}% (chance 16.7)")
    print(f"twice as long: {np.mean(gains):+.1f} points (below 2)")


if __name__ == "__main__":
    main()
