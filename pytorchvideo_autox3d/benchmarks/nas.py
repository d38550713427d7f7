"""`autox3d bench nas`: search methods side by side on the table of trained networks.

First the noise ceiling, above which no score of networks can be told from a perfect one. Then every method that needs
no supernet, from many seeds, each allowed the same multiply-adds: the percentile of what it chose among the networks
within the budget, and how far that is below the best (regret), by the mean test accuracy over the table's seeds.
Methods see validation accuracies of one seed. A method may spend less than it is allowed, never more.
"""

from __future__ import annotations

import inspect
import math
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import kendalltau

from pytorchvideo_autox3d import nasbench
from pytorchvideo_autox3d.benchmarks.memory import Case, peak_bytes
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.models import create_autox3d
from pytorchvideo_autox3d.nasbench import NasBench
from pytorchvideo_autox3d.search import SCORES, MethodRun, Problem, find_method, run_method
from pytorchvideo_autox3d.space import Architecture

METHODS = ("random", "evolution", "successive_halving", *SCORES)


def run(
    *,
    table: str | None = None,
    methods: Sequence[str] = METHODS,
    budget: float = 0.5,
    trainings: float = 16.0,
    repeats: int = 20,
    imports: Sequence[str] = (),
) -> dict[str, Any]:
    """Run every method `repeats` times; plain data, one row a run.

    Args:
        table: a table's file; None is the package's.
        methods: names in the SEARCH registry.
        budget: the share of the table's networks that are within the budget, the cheapest ones.
        trainings: what a method may spend, in whole trainings of a typical network within the budget.
        repeats: runs of each method, each with another seed; they take the table's seeds in turn.
        imports: the modules that registered methods, for the rows' command alone: they are imported already.
    Raises:
        SearchError: an argument is out of range, too few networks within the budget are trained, or a method needs a
            supernet or breaks a rule of `run_method`.
        RegistryError: no method of a name.
    """
    _check_options(budget, trainings, repeats)
    for method in methods:  # the last name's mistake would else be found after minutes
        find_method(method)
    command = _command(
        imports=imports, table=table, methods=methods, budget=budget, trainings=trainings, repeats=repeats
    )
    bench = nasbench.load(table)
    most_macs = float(np.quantile(bench.table.macs_N, budget, method="lower"))
    truth_N = bench.accuracies()
    within_N = bench.table.macs_N <= most_macs
    seeds = _usable_seeds(bench, within_N, budget)
    rows = [
        {**_row(bench, method, number, seeds[number % len(seeds)], most_macs, trainings, truth_N), "command": command}
        for method in track(methods, description="methods", transient=True)
        for number in range(repeats)
    ]
    within = [net for net in bench.architectures if bench.table.macs_N[bench.index(net)] <= most_macs]
    return {
        "noise_ceiling": bench.noise_ceiling(),
        "trained": int(bench.table.trained_NS.sum()),
        "trainings_of_the_table": int(bench.table.trained_NS.size),
        "budget_macs": most_macs,
        "trainings": trainings,
        "repeats": repeats,
        "best_accuracy": max(float(truth_N[bench.index(net)]) for net in within),
        "peak_bytes": training_memory(bench, within),
        "tau": score_taus(bench, within, truth_N),
        "rows": rows,
    }


def _check_options(budget: float, trainings: float, repeats: int) -> None:
    wanted = {
        f"--budget is {budget:g}, expected 0 to 1": 0 <= budget <= 1,
        f"--trainings is {trainings:g}, expected a finite number above 0": 0 < trainings < math.inf,
        f"--repeats is {repeats}, expected 1 or more": repeats >= 1,
    }
    for message, holds in wanted.items():
        if not holds:
            raise SearchError(f"bench nas: {message}")


def _usable_seeds(bench: NasBench, within_N: np.ndarray, budget: float) -> list[int]:
    """The seeds from which two or more of the networks within the budget are trained; `SearchError` if none is."""
    trained_NS = bench.table.trained_NS
    seeds = [seed for seed, count in zip(bench.seeds, trained_NS[within_N].sum(axis=0), strict=True) if count > 1]
    if not seeds:
        raise SearchError(
            f"bench nas: --budget {budget:g} leaves {int(within_N.sum())} of {within_N.size} networks, and no seed has "
            f"two of them trained ({int(trained_NS.sum())} of {trained_NS.size} trainings are in the table): too few "
            "to compare methods"
        )
    return seeds


def _command(**options: Any) -> str:
    """The command line of these options of `run`; those at their defaults are left out."""
    words = ["autox3d", "bench", "nas"]
    for name, value in options.items():
        if value != inspect.signature(run).parameters[name].default:
            words += [f"--{name}", *map(str, value if isinstance(value, list | tuple) else [value])]
    return shlex.join(words)


def _row(
    bench: NasBench, method: str, number: int, seed: int, most_macs: float, trainings: float, truth_N: np.ndarray
) -> dict[str, Any]:
    """One run of one method: what it chose, what it cost, and its best so far after every training."""
    problem = problem_of(bench, seed, most_macs)
    trainer = nasbench.TableTrainer(bench, seed)
    macs_of_one = float(np.mean([trainer.cost(net, 0, bench.epochs[-1])[0] for net in problem.candidates]))
    run = run_method(method, problem, trainer, most_macs=trainings * macs_of_one, seed=number)
    within_N = np.array([bench.index(net) for net in problem.candidates])
    chosen = bench.index(run.best().architecture)
    return {
        "method": method,
        "seed": number,
        "table_seed": seed,
        "network": chosen,
        "accuracy": float(truth_N[chosen]),
        "percentile": percentile(truth_N[chosen], truth_N[within_N]),
        "regret": float(truth_N[within_N].max() - truth_N[chosen]),
        "macs": run.spent.macs,
        "seconds": run.spent.seconds,
        "trainings": run.spent.macs / macs_of_one,
        "curve": best_so_far(run, bench, truth_N, macs_of_one),
    }


def problem_of(bench: NasBench, seed: int, most_macs: float) -> Problem:
    """What a method is told: the table's networks within the budget, and how they are trained.

    Args:
        bench: the table.
        seed: of the trainings that the method sees.
        most_macs: the budget, in multiply-adds of a clip.

    Raises:
        SearchError: no network trained from that seed is within the budget.
    """
    card = bench.table.card
    clip = tuple(card["clip"])
    return Problem(bench.space, nasbench.candidates(bench, seed, most_macs), bench.epochs, clip, card["num_classes"])


def best_so_far(run: MethodRun, bench: NasBench, truth_N: np.ndarray, macs_of_one: float) -> list[tuple[float, float]]:
    """(trainings spent, test accuracy of the choice so far) after every trial that changed the choice."""
    curve: list[tuple[float, float]] = []
    for count in range(1, len(run.trials) + 1):
        best = MethodRun(run.trials[:count]).best()
        accuracy = float(truth_N[bench.index(best.architecture)])
        if not curve or accuracy != curve[-1][1]:
            curve.append((run.trials[count - 1].spent.macs / macs_of_one, accuracy))
    return curve


def percentile(value: float, among: np.ndarray) -> float:
    """The share of `among` that is worse, ties counting half, in percent: 100 is the best."""
    return 100.0 * float((among < value).mean() + 0.5 * (among == value).mean())


def training_memory(bench: NasBench, networks: Sequence[Architecture]) -> int:
    """Peak bytes of a training step of the most expensive of the networks; every method here trains one at a time."""
    card, dearest = bench.table.card, max(networks, key=lambda net: bench.query(net).macs)
    net = create_autox3d(dearest, model_num_class=card["num_classes"]).to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0, momentum=0.9)
    size = card["recipe"]["batch_size"]
    clip_BCTHW = torch.zeros(size, 3, *card["clip"]).contiguous(memory_format=torch.channels_last_3d)

    def step() -> None:
        optimizer.zero_grad()
        net(clip_BCTHW).logsumexp(dim=1).sum().backward()
        optimizer.step()

    return peak_bytes(Case(step, [net], [optimizer]), clip_BCTHW.device)


def score_taus(bench: NasBench, networks: Sequence[Architecture], truth_N: np.ndarray) -> dict[str, float]:
    """Kendall's tau between each score without training and test accuracy, over the networks within the budget."""
    card = bench.table.card
    problem = Problem(bench.space, networks, bench.epochs, tuple(card["clip"]), card["num_classes"])
    truth = [truth_N[bench.index(net)] for net in networks]
    taus = {}
    for name, score in SCORES.items():
        generator = torch.Generator().manual_seed(0)
        values = [score(net, problem, generator)[0] for net in networks]
        taus[name] = float(kendalltau(values, truth).statistic)
    return taus


def print_table(result: dict[str, Any]) -> None:
    """The noise ceiling, then a line a method: medians over its runs, and the quartiles of the percentile."""
    console = Console()
    console.print(
        f"Noise ceiling: Kendall's tau between one seed and the mean of the others is {result['noise_ceiling']:.2f} "
        f"({result['trained']} of {result['trainings_of_the_table']} trainings in the table)"
    )
    title = (
        f"at most {result['budget_macs'] / 1e6:.3g} M multiply-adds; cost of {result['trainings']:g} trainings; "
        f"{result['repeats']} runs; peak memory of a training {result['peak_bytes'] / 2**20:.0f} MiB"
    )
    table = Table(title=title, box=box.SIMPLE, padding=0)
    for name in ("method", "percentile", "regret", "tau", "trainings", "1e12 macs", "CPU s"):
        table.add_column(name, no_wrap=True)
    for method in dict.fromkeys(row["method"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["method"] == method]
        low, middle, high = np.percentile([row["percentile"] for row in rows], (25, 50, 75))
        medians = {
            key: float(np.median([row[key] for row in rows])) for key in ("regret", "macs", "seconds", "trainings")
        }
        tau = f"{result['tau'][method]:.2f}" if method in result["tau"] else ""
        table.add_row(
            method, f"{middle:.0f} ({low:.0f} to {high:.0f})", f"{medians['regret']:.1f}", tau,
            f"{medians['trainings']:.1f}", f"{medians['macs'] / 1e12:.2f}", f"{medians['seconds']:.0f}",
        )  # fmt: skip
    console.print(table)
