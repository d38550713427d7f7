"""Does the search find good networks? Every network of a small space trained on its own, then searches over it.

    python projects/autox3d/enumerate_space.py [--quick]

1. Trains all 144 networks of spaces/enumerable.yaml by one short recipe (kept, so that it resumes).
2. Searches with five seeds under a budget at the median of the space's multiply-adds, and scores every network with the
   weights of each supernet.
3. Reports the percentile of what was found among the networks within the budget, Kendall's tau between supernet scores
   and standalone accuracy, and what random search finds at the same cost.
"""

from __future__ import annotations

import itertools
from typing import Any

import experiment_tools as tools
import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import kendalltau

from pytorchvideo_autox3d.benchmarks.nas import percentile
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.search import derive, recalibrated
from pytorchvideo_autox3d.space import Architecture, load_space

# Draws of random search that are averaged.
RANDOM_DRAWS = 2000


def main() -> None:
    """All steps; figures to results/enumerate_space.json and .png."""
    args = tools.parse_arguments(__doc__ or "")
    space = load_space(tools.SPACES / "enumerable.yaml")
    choices = itertools.product(*(range(len(decision.candidates)) for decision in space.decisions))
    networks = [Architecture.from_indices(space, row) for row in choices]
    if args.quick:
        networks = networks[:: len(networks) // 4]
    train, val, test = (tools.load_videos(args.data, split) for split in ("train", "val", "test"))
    alone = tools.Store(args.output / f"enumerate_standalone_{args.epochs}.jsonl")
    results = [
        alone.get(tools.key_of(net), lambda net=net: tools.standalone_result(net, train, val, test, epochs=args.epochs))
        for net in networks
    ]
    searches = [search_once(args, seed, networks, train, val, results) for seed in range(args.seeds)]
    summary = summarise(networks, results, searches)
    write_json(args.results / "enumerate_space.json", summary)
    draw(summary).savefig(args.results / "enumerate_space.png", dpi=150, bbox_inches="tight")
    print_summary(summary)


def search_once(
    args: Any, seed: int, networks: list[Architecture], train: tools.Videos, val: tools.Videos, results: list[dict]
) -> dict[str, Any]:
    """One search: what it found, and the supernet's score of every network."""
    space = networks[0].space
    target = median_gflops(space)
    folder = args.output / f"enumerate_search_{args.search_epochs}_{seed}"
    found = tools.run_search(space, train, target_gflops=target, output=folder, seed=seed, epochs=args.search_epochs)
    loader = tools.Clips(found.weights, train=True)

    def score(architecture: Architecture) -> float:
        net = recalibrated(found.supernet, architecture, loader, bn_batches=4, runtime=tools.RUNTIME)
        return tools.accuracy(net, val, views=2)

    kept = tools.Store(folder / "scores.jsonl")
    scores = [kept.get(tools.key_of(net), lambda net=net: score(net)) for net in networks]
    likely = derive(found.policy, budgets=found.budgets, method="most_likely")
    best = derive(found.policy, budgets=found.budgets, method="best_of", count=16, score=score)
    costs = [found.budgets.cost_of(net)["gflops"] for net in networks]
    return {
        "seed": seed,
        "target_gflops": target,
        "seconds": found.seconds,
        "scores": scores,
        "gflops": costs,
        "most_likely": tools.key_of(likely.architecture),
        "best_of": tools.key_of(best.architecture),
        "kendall_tau": float(kendalltau(scores, [one["test"] for one in results]).statistic),
        "entropy": [record["entropy"] for record in found.history],
        "history_gflops": [record["gflops"] for record in found.history],
    }


def median_gflops(space: Any) -> float:
    """The budget: the median of uniform samples, in GFLOPs."""
    from pytorchvideo_autox3d.analysis import CostTable

    table = CostTable(space, clip=(tools.CLIP_LENGTH, tools.CROP, tools.CROP), num_classes=tools.NUM_CLASSES)
    indices = space.sample_indices(10_000, torch.Generator().manual_seed(0))
    return float(np.median(table.cost(indices.numpy()).macs)) / 1e9


def summarise(networks: list[Architecture], results: list[dict], searches: list[dict]) -> dict[str, Any]:
    """Percentiles among the networks within the budget, tau, and random search at the same cost."""
    keys = [tools.key_of(net) for net in networks]
    test, val = (np.array([one[split] for one in results]) for split in ("test", "val"))
    seconds = float(np.mean([one["seconds"] for one in results]))
    rows = []
    for one in searches:
        within = np.array(one["gflops"]) <= one["target_gflops"]
        row: dict[str, Any] = {"seed": one["seed"], "kendall_tau": one["kendall_tau"]}
        for method in ("most_likely", "best_of"):
            if one[method] not in keys:  # only with --quick, which trains a few networks
                continue
            place = keys.index(one[method])
            row[method] = {
                "test": float(test[place]),
                "percentile": percentile(test[place], test[within]),
                "gflops": one["gflops"][place],
                "within_budget": bool(within[place]),
            }
        trainings = max(1, round(one["seconds"] / seconds))
        row["random"] = random_search(test[within], val[within], trainings) | {"trainings": trainings}
        rows.append(row)
    return {
        "networks": keys,
        "standalone_test": test.tolist(),
        "standalone_val": val.tolist(),
        "gflops": searches[0]["gflops"],
        "target_gflops": searches[0]["target_gflops"],
        "seconds_of_one_training": seconds,
        "searches": rows,
        "supernet_scores": [one["scores"] for one in searches],
    }


def random_search(test: np.ndarray, val: np.ndarray, trainings: int) -> dict[str, float]:
    """Train that many networks within the budget, keep the best on the validation list: test accuracy expected."""
    random = np.random.default_rng(0)
    picks = []
    for _ in range(RANDOM_DRAWS):
        drawn = random.choice(len(test), size=min(trainings, len(test)), replace=False)
        picks.append(test[drawn[np.argmax(val[drawn])]])
    return {"test": float(np.mean(picks)), "percentile": float(np.mean([percentile(p, test) for p in picks]))}


def draw(summary: dict[str, Any]) -> Figure:
    """Accuracy against multiply-adds of every network with the ones found, and supernet score against accuracy."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    gflops = 1e3 * np.array(summary["gflops"])
    test = np.array(summary["standalone_test"])
    left.scatter(gflops, test, s=8, color="0.7", label="trained on its own")
    left.axvline(1e3 * summary["target_gflops"], color="0.3", linewidth=0.8)
    found = [row["best_of"] for row in summary["searches"] if "best_of" in row]
    left.scatter([1e3 * one["gflops"] for one in found], [one["test"] for one in found], s=30, label="found")
    left.set(xlabel="multiply-adds, 1e6", ylabel="top-1, %")
    left.legend(frameon=False)
    right.scatter(np.mean(summary["supernet_scores"], axis=0), test, s=8, color="0.5")
    right.set(xlabel="supernet score, mean over seeds, %", ylabel="top-1 trained on its own, %")
    return figure


def print_summary(summary: dict[str, Any]) -> None:
    """One line a seed."""
    for row in summary["searches"]:
        found = " ".join(
            f"{method} {row[method]['test']:.1f}% (percentile {row[method]['percentile']:.0f})"
            for method in ("most_likely", "best_of")
            if method in row
        )
        random = row["random"]
        print(
            f"seed {row['seed']}: {found}; tau {row['kendall_tau']:.2f}; random search with {random['trainings']} "
            f"trainings {random['test']:.1f}% (percentile {random['percentile']:.0f})"
        )


if __name__ == "__main__":
    main()
