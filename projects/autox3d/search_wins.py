"""Does a search win where the space is too large to enumerate? The found networks against chance and against X3D.

    python projects/autox3d/search_wins.py      # CPU hours; stop it, start it again
    python projects/autox3d/search_wins.py --print

The space is configs/spaces/bench_large.yaml, the data and the recipe of every training are the table's
(docs/nasbench.md). From each of five seeds a search finds a network that spends 95% to 100% of the budget, and so does
a search that is twice as long. What is found is trained from three seeds, and so are the rivals: 15 random networks
that spend as much (the median, the best, and random search at the search's whole cost, which chooses among these 15 by
validation), and X3D scaled to the same multiply-adds and to the same milliseconds. What the shorter searches found and
the first X3D are trained once more, with twice the epochs, as networks differ in how fast they learn; so are the random
networks, from one seed. Intervals hold the chance of searches and of trainings, and that of draws where the rival is
drawn; the best of the 15 in hindsight is one network, chosen by the trainings that it is judged by. Results:
results/search_wins.json, each training with its seed, cost and command.
"""

from __future__ import annotations

import argparse
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, comb
from pathlib import Path
from typing import Any

import bench_searches
import nasbench_recipe
import numpy as np
import simplejson
import torch
from bench_trainings import CLIP, RECIPE, SEEDS, kept_file, parsed_arguments, train_missing, x3d
from intervals import Estimate, bootstrapped, difference, of_networks, of_trainings, training_deviation
from torch import nn

from pytorchvideo_autox3d.analysis import CostTable, count_module, measure_latency
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.nasbench.trainer import PASSES_OF_A_STEP
from pytorchvideo_autox3d.space import Architecture, SearchSpace, load_space

FOLDER = Path(__file__).parent
SPACE = FOLDER.parents[1] / "configs" / "spaces" / "bench_large.yaml"
COMMAND = "projects/autox3d/search_wins.py"
TARGET_MACS = 1.5e6
FLOOR = 0.95
NETWORKS = 15
# What networks are there for.
FOUND, RANDOM, X3D = "found", "random", ("x3d_macs", "x3d_ms")
FOUND_TWICE, RANDOM_TWICE, X3D_TWICE = "found_twice", "random_twice", "x3d_twice"
SEARCHES = {FOUND: bench_searches.METHODS["ours"], "found by the longer search": bench_searches.LONGER}


def main() -> None:
    """Search, train what is missing, print."""
    args = parsed_arguments(__doc__, output="wins")
    kept = args.results / "search_wins.json"
    if not args.print:
        searched = run_searches(args)
        named = networks(searched, args.output)
        options = {"data": args.data, "journal": args.output, "command": COMMAND, "workers": args.workers}
        trainings = train_missing(named, **options) + train_missing(random_twice(named), **options, seeds=SEEDS[:1])
        result = {"target_macs": TARGET_MACS, "recipe": RECIPE.to_dict(), "searches": searched, "trainings": trainings}
        write_json(kept, result)
    print_summary(simplejson.loads(kept.read_text(encoding="utf8")))


def run_searches(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Both searches from five seeds each, under the budget."""
    tasks = [
        (args.data, str(SPACE), replace(method, floor=FLOOR), seed, TARGET_MACS / 1e9, name)
        for name, method in SEARCHES.items()
        for seed in range(5)
    ]
    kept = argparse.Namespace(data=args.data, results=args.output / "searches.json", workers=args.workers)
    return sorted(bench_searches.run_missing(tasks, kept, COMMAND), key=lambda row: (row["method"], row["seed"]))


def networks(searched: list[dict[str, Any]], journal: Path) -> dict[str, dict[str, Any]]:
    """What is trained, by name: a list of choices of the space, or X3D's bottleneck factor.

    The factor that is measured is that of the first training in `journal`, where there is one.
    """
    space, twice = load_space(str(SPACE)), 2 * RECIPE.epochs
    named: dict[str, dict[str, Any]] = {}
    for row in searched:
        choices: dict[str, Any] = {"space": str(SPACE), "choices": row["architecture"]}
        name = f"{row['method']} {row['seed']}"
        named[name] = {"role": row["method"], **choices}
        if row["method"] == FOUND:
            named[f"{name}, twice the epochs"] = {"role": FOUND_TWICE, **choices, "epochs": twice}
    for number, architecture in enumerate(random_networks(space)):
        named[f"random {number}"] = {"role": RANDOM, "space": str(SPACE), "choices": list(architecture.indices)}
    bottleneck = x3d_of_macs()
    named["X3D, multiply-adds"] = {"role": "x3d_macs", "bottleneck": bottleneck}
    named["X3D, twice the epochs"] = {"role": X3D_TWICE, "bottleneck": bottleneck, "epochs": twice}
    name, found = "X3D, milliseconds", [Architecture.from_indices(space, row["architecture"]) for row in searched]
    begun = kept_file(journal, name, SEEDS[0])
    kept = simplejson.loads(begun.read_text(encoding="utf8"))["bottleneck"] if begun.is_file() else None
    named[name] = {"role": "x3d_ms", "bottleneck": kept or x3d_of_milliseconds(found)}
    return named


def random_twice(named: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The random ones of `networks`, to be trained for twice the epochs."""
    return {
        f"{name}, twice the epochs": {**network, "role": RANDOM_TWICE, "epochs": 2 * RECIPE.epochs}
        for name, network in named.items()
        if network["role"] == RANDOM
    }


def random_networks(space: SearchSpace) -> list[Architecture]:
    """Uniform draws among the networks that spend 95% to 100% of the budget."""
    costs = CostTable(space, clip=CLIP, num_classes=nasbench_recipe.NUM_CLASSES).additive("macs")
    generator = torch.Generator().manual_seed(0)
    found: dict[Architecture, None] = {}
    while len(found) < NETWORKS:
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


@dataclass(frozen=True)
class Trained:
    """The networks of one role with their trainings: by network and seed, in percent."""

    names: list[str]
    test_NS: np.ndarray
    val_NS: np.ndarray
    macs: float

    @classmethod
    def of(cls, trainings: list[dict[str, Any]], role: str) -> Trained:
        """Those of `trainings` that have this role; `macs` is the mean cost of one training of them."""
        own = [one for one in trainings if one["role"] == role]
        by_network = {(one["network"], one["seed"]): one for one in own}
        names, seeds = ({one[key]: None for one in own} for key in ("network", "seed"))
        test, val = (
            np.array([[by_network[name, seed][split] for seed in seeds] for name in names]) for split in ("test", "val")
        )
        return cls(
            list(names), test, val, float(np.mean([PASSES_OF_A_STEP * one["macs"] * one["clips"] for one in own]))
        )


def print_summary(result: dict[str, Any]) -> None:
    """The found networks, then each rival with what the found ones are ahead by, and the 95% interval of that."""
    trainings, searches = result["trainings"], result["searches"]
    trained = {role: Trained.of(trainings, role) for role in dict.fromkeys(one["role"] for one in trainings)}
    random, own_twice, x3d_twice = trained[RANDOM], trained[FOUND_TWICE], trained[X3D_TWICE]
    short = [one.test_NS for role, one in trained.items() if not role.endswith("_twice")]
    # Two searches may find one network: its trainings count once.
    deviation, freedom = training_deviation(np.unique(np.concatenate(short), axis=0))
    print(f"a training's standard deviation is {deviation:.1f} points")
    print(f"random: {listed(random)}")
    for role in dict.fromkeys(row["method"] for row in searches):
        cost = float(np.mean([row["macs"] / random.macs for row in searches if row["method"] == role]))
        print(f"{role}: {listed(trained[role])}; a search costs {cost:.1f} trainings")
        # What is found is trained once more; random search has trained its choice already, and spends no less in all.
        rivals = chance(random, deviation, freedom, count=ceil(cost) + 1)
        rivals |= {trained[x3d].names[0]: of_trainings(trained[x3d].test_NS[0], deviation, freedom) for x3d in X3D}
        print_ahead(trained[role], rivals)
    once, _ = training_deviation(np.concatenate([trained[FOUND].test_NS, trained[X3D[0]].test_NS]))
    deviation, freedom = training_deviation(np.concatenate([own_twice.test_NS, x3d_twice.test_NS]))
    told = f"standard deviation {deviation:.1f}, of the same networks before {once:.1f}"
    print(f"{FOUND}, with twice the epochs ({told}): {listed(own_twice)}")
    print(f"{RANDOM}, with twice the epochs, one training: {listed(trained[RANDOM_TWICE])}")
    print_ahead(own_twice, {"the median of these": median(trained[RANDOM_TWICE])})
    print_ahead(own_twice, {x3d_twice.names[0]: of_trainings(x3d_twice.test_NS[0], deviation, freedom)})


def print_ahead(own: Trained, rivals: dict[str, Estimate]) -> None:
    """By how much the mean of some networks is above each rival."""
    for name, rival in rivals.items():
        ahead, low, high = difference(of_networks(own.test_NS.mean(axis=1)), rival)
        print(f"    {name}: {rival.mean:.1f}%, ahead by {ahead:+.1f} ({low:+.1f} to {high:+.1f})")


def listed(nets: Trained) -> str:
    """Their mean accuracies in order, and the mean of these."""
    means = sorted(nets.test_NS.mean(axis=1))
    return f"{', '.join(f'{value:.1f}' for value in means)}%, mean {np.mean(means):.1f}"


def median(nets: Trained) -> Estimate:
    """Of the networks' means."""
    mean_N = nets.test_NS.mean(axis=1)
    return bootstrapped(lambda drawn: float(np.median(mean_N[drawn])), len(mean_N))


def chance(random: Trained, deviation: float, freedom: int, *, count: int) -> dict[str, Estimate]:
    """What random networks reach, by name; `count` is how many trainings random search may spend."""
    best_S = random.test_NS[random.test_NS.mean(axis=1).argmax()]

    def over_draws(statistic: Callable[[np.ndarray], float]) -> Estimate:
        return bootstrapped(statistic, len(random.names))

    return {
        f"random search of {count} trainings": over_draws(lambda drawn: expected_of_random(random, drawn, count)),
        "the median of the random networks": median(random),
        "the best of them, in hindsight": of_trainings(best_S, deviation, freedom),
        "the best of them by two trainings, in the third": over_draws(lambda drawn: best_of_others(random, drawn)),
    }


def expected_of_random(random: Trained, drawn: np.ndarray, count: int) -> float:
    """The mean accuracy of random search's choice, the best by one training's validation, over all draws of `count`."""
    size = len(drawn)
    count = min(count, size)
    # That the network of this rank, from the worst, is the best of a draw.
    chance = np.array([comb(rank, count - 1) / comb(size, count) for rank in range(size)])
    test, val_NS = random.test_NS[drawn].mean(axis=1), random.val_NS[drawn]
    return float(np.mean([chance @ test[np.argsort(val_NS[:, column])] for column in range(len(SEEDS))]))


def best_of_others(random: Trained, drawn: np.ndarray) -> float:
    """The best by the validation of all seeds but one, judged by the test of that one, over the seeds."""
    test_NS, val_NS = random.test_NS[drawn], random.val_NS[drawn]
    chosen = [np.delete(val_NS, column, axis=1).mean(axis=1).argmax() for column in range(len(SEEDS))]
    return float(np.mean([test_NS[network, column] for column, network in enumerate(chosen)]))


if __name__ == "__main__":
    main()
