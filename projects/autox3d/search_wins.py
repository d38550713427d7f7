"""Does a search win where the space is too large to enumerate? The found networks against chance and against X3D.

    python projects/autox3d/search_wins.py      # CPU hours; stop it, start it again
    python projects/autox3d/search_wins.py --print

The space is configs/spaces/bench_large.yaml, the data and the recipe of every training are the table's
(docs/nasbench.md). From each of five seeds a search finds a network that spends 95% to 100% of the budget. It is
trained from three seeds, and so are the rivals: 15 random networks that spend as much (the median, the best, and
random search at the search's whole cost, which chooses among draws of these 15 by validation), and X3D scaled to the
same multiply-adds and to the same milliseconds. Results: results/search_wins.json, each training with its seed, cost
and command.
"""

from __future__ import annotations

import argparse
from bisect import bisect_left
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench_searches
import nas_methods
import nasbench_recipe
import numpy as np
import simplejson
import torch
from bench_trainings import CLIP, SEEDS, kept_file, mean_test, train_missing, x3d
from torch import nn
from train_nasbench import RECIPE

from pytorchvideo_autox3d.analysis import CostTable, count_module, measure_latency
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.nasbench.trainer import PASSES_OF_A_STEP
from pytorchvideo_autox3d.space import Architecture, SearchSpace, load_space

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results" / "search_wins.json"
SPACE = FOLDER.parents[1] / "configs" / "spaces" / "bench_large.yaml"
COMMAND = "projects/autox3d/search_wins.py"
TARGET_MACS = 1.5e6
FLOOR = 0.95
RANDOM = 15


def main() -> None:
    """Search, train what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("output/nasbench/data"), help="made if not there")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--searches", type=Path, default=Path("output/nasbench/wins_searches.json"), help="kept here")
    parser.add_argument("--journal", type=Path, default=Path("output/nasbench/wins"), help="a file a training")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--print", action="store_true", help="only print what there is")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if not args.print:
        searched = run_searches(args)
        named = networks(searched, args.journal)
        trainings = train_missing(named, data=args.data, journal=args.journal, command=COMMAND, workers=args.workers)
        kept = {"target_macs": TARGET_MACS, "recipe": RECIPE.to_dict(), "searches": searched, "trainings": trainings}
        write_json(args.results, kept)
    print_summary(simplejson.loads(args.results.read_text(encoding="utf8")))


def run_searches(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The search that docs/search.md recommends, from five seeds, under the budget."""
    method = replace(bench_searches.METHODS["ours"], derive="best_of", floor=FLOOR)
    tasks = [(args.data, str(SPACE), method, seed, TARGET_MACS / 1e9, "ours") for seed in range(5)]
    kept = argparse.Namespace(data=args.data, results=args.searches, workers=args.workers)
    return sorted(bench_searches.run_missing(tasks, kept), key=lambda row: row["seed"])


def networks(searched: list[dict[str, Any]], journal: Path) -> dict[str, dict[str, Any]]:
    """What is trained, by name: a list of choices of the space, or X3D's bottleneck factor.

    The factor that is measured is that of the first training in `journal`, where there is one.
    """
    space = load_space(str(SPACE))
    named: dict[str, dict[str, Any]] = {
        f"found {row['seed']}": {"role": "found", "space": str(SPACE), "choices": row["architecture"]}
        for row in searched
    }
    for number, architecture in enumerate(random_networks(space)):
        choices = list(architecture.indices)
        named[f"random {number}"] = {"role": "random", "space": str(SPACE), "choices": choices}
    named["X3D, multiply-adds"] = {"role": "x3d_macs", "bottleneck": x3d_of_macs()}
    name, found = "X3D, milliseconds", [Architecture.from_indices(space, row["architecture"]) for row in searched]
    begun = kept_file(journal, name, SEEDS[0])
    kept = simplejson.loads(begun.read_text(encoding="utf8"))["bottleneck"] if begun.is_file() else None
    named[name] = {"role": "x3d_ms", "bottleneck": kept or x3d_of_milliseconds(found)}
    return named


def random_networks(space: SearchSpace) -> list[Architecture]:
    """Uniform draws among the networks that spend 95% to 100% of the budget."""
    costs = CostTable(space, clip=CLIP, num_classes=nasbench_recipe.NUM_CLASSES).additive("macs")
    generator = torch.Generator().manual_seed(0)
    found: dict[Architecture, None] = {}
    while len(found) < RANDOM:
        architecture = space.sample(generator)
        spent = float(costs.total(np.array([architecture.indices]))[0])
        if FLOOR * TARGET_MACS <= spent <= TARGET_MACS:
            found[architecture] = None
    return list(found)


def x3d_of_macs() -> float:
    """The largest bottleneck factor, to 0.01, whose network is within the budget."""
    factors = np.arange(0.5, 6.0, 0.01).tolist()
    above = bisect_left(factors, True, key=lambda factor: count_module(x3d(factor), CLIP).macs > TARGET_MACS)
    return float(factors[above - 1])


def x3d_of_milliseconds(found: list[Architecture]) -> float:
    """The bottleneck factor, to 0.25, whose network takes as long as the found ones do in the median, measured here."""
    clip = torch.randn(1, 3, *CLIP).contiguous(memory_format=torch.channels_last_3d)
    factors = np.arange(0.5, 6.0, 0.25)
    nets: dict[Any, nn.Module] = {f"{factor:g}": x3d(factor).eval() for factor in factors}
    nets |= {number: nasbench_recipe.build(one).eval() for number, one in enumerate(found)}
    with torch.inference_mode():
        measured = measure_latency({name: (lambda net=net: net(clip)) for name, net in nets.items()})
    wanted = float(np.median([measured[number].median for number in range(len(found))]))
    return float(min(factors, key=lambda factor: abs(measured[f"{factor:g}"].median - wanted)))


def print_summary(result: dict[str, Any]) -> None:
    """The found networks, then each rival with what the found ones are ahead by, and the 95% interval of that."""
    trainings = result["trainings"]
    by_name: dict[str, list[dict[str, Any]]] = {}
    for one in trainings:
        by_name.setdefault(one["network"], []).append(one)
    test = mean_test(trainings)
    found = {name: value for name, value in test.items() if by_name[name][0]["role"] == "found"}
    pool = [name for name in test if by_name[name][0]["role"] == "random"]
    print(
        "found: " + ", ".join(f"{value:.1f}" for value in found.values()) + f"%, mean {np.mean([*found.values()]):.1f}"
    )
    print("random: " + ", ".join(f"{test[name]:.1f}" for name in sorted(pool, key=test.__getitem__)))
    random_rows = [one for name in pool for one in by_name[name]]
    macs_of_one = float(np.mean([PASSES_OF_A_STEP * one["macs"] * one["clips"] for one in random_rows]))
    chance = []
    for number, row in enumerate(result["searches"]):
        # What is found is trained once more; random search has trained its choice already.
        count = max(1, round(row["macs"] / macs_of_one) + 1)
        chance.append(expected_of_random(by_name, pool, test, count, seed=number))
        print(
            f"search {row['seed']}: cost of {row['macs'] / macs_of_one:.1f} trainings; "
            f"random search of {count}: {chance[-1]:.1f}%"
        )
    values = list(found.values())
    rivals = {"random search at the same cost": chance}
    rivals["median of the random networks"] = [float(np.median([test[name] for name in pool]))] * len(values)
    rivals["best of the random networks"] = [max(test[name] for name in pool)] * len(values)
    for name in test:
        if by_name[name][0]["role"].startswith("x3d"):
            rivals[name] = [test[name]] * len(values)
    for name, theirs in rivals.items():
        ahead = nas_methods.paired([own - other for own, other in zip(values, theirs, strict=True)])
        print(f"{name}: {np.mean(theirs):.1f}%, the found ones ahead by {ahead}")


def expected_of_random(
    by_name: dict[str, list[dict[str, Any]]], pool: list[str], test: dict[str, float], count: int, *, seed: int
) -> float:
    """The mean test accuracy of random search's choice: the best by one training's validation among `count` draws."""
    random = np.random.default_rng(seed)
    chosen = []
    for _ in range(2000):
        drawn = random.choice(len(pool), size=min(count, len(pool)), replace=False)
        column = int(random.integers(len(SEEDS)))
        chosen.append(test[max((pool[number] for number in drawn), key=lambda name: by_name[name][column]["val"])])
    return float(np.mean(chosen))


if __name__ == "__main__":
    main()
