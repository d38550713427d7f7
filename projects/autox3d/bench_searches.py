"""Searches that train a supernet, over the space of the table of networks, from several seeds.

    python projects/autox3d/bench_searches.py            # a CPU core for minutes a search; stop it, start it again
    python projects/autox3d/bench_searches.py --print    # what was found, beside all networks within the budget

Each search is one process of one thread on the table's training videos, so that its CPU time and peak memory are its
own. What was found and what it cost goes to results/bench_searches.json, a row a search; `nas_methods.py` looks up what
the table knows of it. Budgets, rates, clips and batch are those of the table; METHODS says what else a search does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import nasbench_recipe
import numpy as np
import simplejson
import torch
from bench_supernet import RUNTIME, CentreClips, TrainingClips, make_supernet
from nasbench_recipe import Videos
from rich.progress import Progress
from scipy import stats

from pytorchvideo_autox3d import nasbench
from pytorchvideo_autox3d.engine import build_optimizer, make_schedule
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.nasbench import NasBench, TableTrainer
from pytorchvideo_autox3d.search import (
    Budget,
    Budgets,
    Evolution,
    Ledger,
    Policy,
    SearchSettings,
    WeightAverage,
    cost_table,
    derive,
    inherited_score,
    search,
    split_halves,
)
from pytorchvideo_autox3d.space import Architecture, SearchSpace, load_space

RESULTS = Path(__file__).parent / "results" / "bench_searches.json"
COMMAND = "projects/autox3d/bench_searches.py"
BATCH, BASE_LR, BN_BATCHES = 32, 0.1, 16


@dataclass(frozen=True)
class Method:
    """A search, as the SEARCH keys of the same names have it.

    Args:
        method: SEARCH.METHOD.
        selection: SEARCH.CHANNEL_SELECTION.
        derive: SEARCH.DERIVE.
        rank_by: SEARCH.RANK_BY, where candidates are ranked.
        best_of, networks: how many candidates are ranked by "best_of" and by "evolution".
        algorithm: SEARCH.EVOLUTION_ALGORITHM.
        optimizer: SOLVER.OPTIMIZING_METHOD of the supernet.
        weight_decay: of the supernet.
        ema_decay: SEARCH.EMA_DECAY; 0 ranks by the last weights.
        floor: SEARCH.BUDGET_FLOOR; 0 sets none.
        settings: the rest, arguments of `SearchSettings`. Epochs are of the whole list: where alpha has half of it,
            there are twice as many of half the steps.
    """

    method: str = "parsec"
    selection: str = "fair"
    derive: str = "within_budgets"
    rank_by: str = "loss"
    best_of: int = 16
    networks: int = 64
    algorithm: str = "regularised"
    optimizer: str = "muon"
    weight_decay: float = 1e-4
    ema_decay: float = 0.0
    floor: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


# 10 epochs of four samples: half of them warm up, where there is a policy.
_PARSEC = {"epochs": 10, "warmup_epochs": 5, "num_samples": 4}
_PAPER = Method(settings=_PARSEC)
_OURS = {"epochs": 12, "warmup_epochs": 7, "num_samples": 4, "warmup_samples": 2}
METHODS = {
    "parsec, naive": replace(_PAPER, selection="naive"),
    "parsec, fair": _PAPER,
    # FP-NAS's K falls with the entropy, from as many samples as one more than PARSEC's to as few as two.
    "adaptive samples (FP-NAS)": replace(_PAPER, settings={**_PARSEC, "adaptive_samples": True, "num_samples": 6}),
    "one_shot_evolution": replace(
        _PAPER,
        method="one_shot_evolution",
        derive="evolution",
        algorithm="nsga2",
        settings={**_PARSEC, "shared": True},
    ),
    # configs/autox3d/search_bench.yaml: steps before samples, alpha from the passes of the weights, candidates ranked.
    # Naive selection, as a fair supernet learns far less in as many steps (docs/search.md).
    "ours": replace(_PAPER, selection="naive", derive="best_of", settings={**_OURS, "shared": True}),
    "darts": replace(_PAPER, method="darts", settings={**_PARSEC, "num_samples": 1}),
}
# "ours" for twice the epochs finds no better networks in configs/spaces/bench_large.yaml (search_wins.py).
LONGER = replace(METHODS["ours"], settings={**METHODS["ours"].settings, "epochs": 24, "warmup_epochs": 14})


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("output/nasbench/data"), help="made if not there")
    parser.add_argument("--table", default=None, help="a table's file; default the package's")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(5)))
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--print", action="store_true", help="only print what there is")
    args = parser.parse_args()
    bench = nasbench.load(args.table)
    if args.print:
        print_found(bench, simplejson.loads(args.results.read_text(encoding="utf8")))
        return
    target = float(np.quantile(bench.table.macs_N, 0.5, method="lower")) / 1e9
    tasks = [
        (args.data, bench.space, METHODS[name], seed, target, name)
        for seed in args.seeds
        for name in args.methods
    ]  # fmt: skip
    run_missing(tasks, args, COMMAND)


def run_missing(tasks: list[tuple[Any, ...]], args: argparse.Namespace, command: str) -> list[dict[str, Any]]:
    """Run the searches that the results lack, and write each as it ends; return those of the tasks.

    A search by that name and seed of another recipe, space or target is replaced.
    """
    rows = simplejson.loads(args.results.read_text(encoding="utf8")) if args.results.is_file() else []
    asked = {(task[5], task[3]): _identity(task) for task in tasks}
    rows = [row for row in rows if asked.get((row["method"], row["seed"])) in (None, _identity_of(row))]
    done = {(row["method"], row["seed"]) for row in rows}
    left = [task for task in tasks if (task[5], task[3]) not in done]
    nasbench_recipe.load_bench(args.data)
    context = multiprocessing.get_context("spawn")
    with Progress() as progress, context.Pool(args.workers, maxtasksperchild=1) as pool:
        bar = progress.add_task("searches", total=len(left))
        for row in pool.imap_unordered(_run, left):
            rows = [*rows, {**row, "command": command}]
            write_json(args.results, rows)
            progress.advance(bar)
    return [row for row in rows if (row["method"], row["seed"]) in asked]


def _identity(task: tuple[Any, ...]) -> tuple[Any, ...]:
    _, space, method, _, target, _ = task
    return (load_space(space) if isinstance(space, str) else space).name, method.to_dict(), target


def _identity_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["space"], row["recipe"], row["target_gflops"]


def _run(task: tuple[Path, SearchSpace | str, Method, int, float, str]) -> dict[str, Any]:
    folder, space, method, seed, target, name = task
    torch.set_num_threads(1)
    os.nice(2)
    space = load_space(space) if isinstance(space, str) else space
    data = nasbench_recipe.load_bench(folder)
    return {"method": name, "seed": seed, **run_search(space, data, method, seed=seed, target_gflops=target)}


def print_found(bench: NasBench, rows: list[dict[str, Any]]) -> None:
    """Each search's network, with its trainings in the table, and a method's mean beside the networks in the budget.

    The mean is over a method's searches, of each network's mean over its seeds but the first, which all networks have:
    the interval is that of Student's t over the searches.
    """
    accuracy_NS = np.full(bench.table.trained_NS.shape, np.nan)
    for architecture in bench.architectures:
        network = bench.index(architecture)
        for column in np.flatnonzero(bench.table.trained_NS[network]):
            accuracy_NS[network, column] = bench.query(architecture, seed=bench.seeds[column]).accuracy
    for row in rows:
        network = bench.index(Architecture.from_indices(bench.space, row["architecture"]))
        row["others"] = (
            float(np.nanmean(accuracy_NS[network, 1:])) if bench.table.trained_NS[network, 1:].any() else None
        )
        told = ", ".join("-" if np.isnan(value) else f"{value:.1f}%" for value in accuracy_NS[network])
        print(
            f"{row['method']}, search {row['seed']}: network {network}, {row['gflops'] * 1e3:.2f} M multiply-adds, "
            f"{told}; entropy left {row['entropy_left']:.0%}, {row['cpu_seconds']:.0f} CPU s"
        )
    for method in dict.fromkeys(row["method"] for row in rows):
        others = [row["others"] for row in rows if row["method"] == method and row["others"] is not None]
        if len(others) > 1:
            half = float(stats.t.ppf(0.975, len(others) - 1) * stats.sem(others))
            print(f"{method}: mean of the later seeds {np.mean(others):.1f}% +- {half:.1f}, {len(others)} searches")
    within_N = bench.table.macs_N <= rows[0]["target_gflops"] * 1e9 * (1 + 1e-9)
    first = accuracy_NS[within_N, 0]
    low, middle, high = np.nanpercentile(first, (5, 50, 95))
    print(
        f"networks within the budget: {len(first)}, first seed: mean {np.nanmean(first):.1f}%, 5th percentile "
        f"{low:.1f}%, median {middle:.1f}%, 95th {high:.1f}%"
    )
    found = {bench.index(Architecture.from_indices(bench.space, row["architecture"])) for row in rows}
    print_chance(bench, [n for n in np.flatnonzero(within_N & bench.table.trained_NS[:, 1]) if n not in found], rows)


def print_chance(bench: NasBench, pool: list[int], rows: list[dict[str, Any]]) -> None:
    """What the second seed says of networks that were not found, and random search among them at a search's cost."""
    seed, random = bench.seeds[1], np.random.default_rng(0)
    trained = [bench.query(net, seed=seed) for net in bench.architectures if bench.index(net) in pool]
    test, val = np.array([one.accuracy for one in trained]), np.array([one.val_accuracy for one in trained])
    trainer = TableTrainer(bench, bench.seeds[0])
    typical = float(np.mean([trainer.cost(net, 0, bench.epochs[-1])[0] for net in bench.architectures]))
    count = 1 + round(float(np.median([row["macs"] for row in rows])) / typical)
    draws = [random.choice(len(test), size=min(count, len(test)), replace=False) for _ in range(5000)]
    chosen = np.mean([test[draw[val[draw].argmax()]] for draw in draws])
    print(
        f"{len(test)} others of these from seed {seed}: mean {test.mean():.1f}%, standard error "
        f"{test.std(ddof=1) / len(test) ** 0.5:.1f}; the best of {count} by validation, a search's cost with the "
        f"training of what it found: {chosen:.1f}%"
    )


def run_search(
    space: SearchSpace, data: dict[str, Videos], method: Method, *, seed: int, target_gflops: float
) -> dict[str, Any]:
    """Search under a budget; return the network that was derived, what is left of the entropy, and the cost."""
    settings = SearchSettings(**_settings(method), clip_norm=5.0, log_period=10**6, seed=seed)
    torch.manual_seed(seed)
    ledger, supernet, policy = Ledger(), make_supernet(space, method.selection), Policy(space=space)
    table = cost_table(supernet)
    budgets = Budgets(table, [Budget("gflops", target_gflops)])
    weights, own = _loaders(data["train"], shared=settings.shared, seed=seed)
    average = WeightAverage(supernet, method.ema_decay) if method.ema_decay else None
    schedule = make_schedule(
        base_lr=BASE_LR, max_epoch=settings.epochs, warmup_epochs=0.2 * settings.epochs, cosine_after_warmup=True
    )
    with tempfile.TemporaryDirectory() as folder:
        history = search(
            supernet, policy, weights, own,
            optimizer=build_optimizer(
                supernet, method=method.optimizer, base_lr=BASE_LR, weight_decay=method.weight_decay
            ),
            schedule=schedule, settings=settings, budgets=budgets.budgets, runtime=RUNTIME, output_dir=folder,
            method=method.method, average=average, ledger=ledger,
        )  # fmt: skip
    score = inherited_score(
        average.supernet if average else supernet, CentreClips(data["val"]), weights, bn_batches=BN_BATCHES,
        runtime=RUNTIME, rank_by=method.rank_by, budgets=budgets, ledger=ledger,
    )  # fmt: skip
    evolution = Evolution(networks=method.networks, population=16, sample=8, seed=seed, algorithm=method.algorithm)
    scored: dict[Architecture, float] = {}

    def kept(architecture: Architecture) -> float:
        scored[architecture] = score(architecture)
        return scored[architecture]

    found = derive(
        policy, budgets=budgets, method=method.derive, count=method.best_of, score=kept, floor=method.floor,
        evolution=evolution,
    )  # fmt: skip
    return {
        "space": space.name,
        "recipe": method.to_dict(),
        "target_gflops": target_gflops,
        "architecture": list(found.architecture.indices),
        "most_likely": list(policy.most_likely().indices),
        "gflops": found.costs["gflops"],
        "score": found.score,
        "scored": [[list(one.indices), scored[one]] for one in sorted(scored, key=scored.__getitem__, reverse=True)],
        "entropy_left": float(policy.entropy().detach()) / float(np.log(space.size)),
        "alpha_snr": history[-1].get("alpha_snr"),
        "loss": history[-1]["loss"],
        "history": [{key: one.get(key) for key in ("epoch", "gflops", "entropy", "ess")} for one in history],
        **ledger.to_dict(),
    }


def _settings(method: Method) -> dict[str, Any]:
    values = dict(method.settings)
    if not values.get("shared", False):
        values["epochs"], values["warmup_epochs"] = 2 * values["epochs"], 2 * values["warmup_epochs"]
    return values


def _loaders(videos: Videos, *, shared: bool, seed: int) -> tuple[TrainingClips, TrainingClips | None]:
    """The whole list for the weights, or half for them and half for alpha."""
    if shared:
        return TrainingClips(videos, BATCH, seed=seed), None
    parts = [
        TrainingClips(Videos(videos.frames_VCTHW[part], videos.label_V[part]), BATCH, seed=2 * seed + number)
        for number, part in enumerate(split_halves(len(videos), 0.5, seed=seed))
    ]
    return parts[0], parts[1]


if __name__ == "__main__":
    main()
