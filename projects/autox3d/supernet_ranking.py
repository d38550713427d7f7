"""How should a supernet be trained and read, so that its scores order networks as trainings from scratch do?

    python projects/autox3d/supernet_ranking.py run     # trains and scores what is missing; stop it, start it again
    python projects/autox3d/supernet_ranking.py print   # Kendall's tau against the table's trainings so far

A variant is one supernet over the space of the table of networks, trained by one set of options (VARIANTS). Networks
are scored with inherited weights and with an average of the weights, by accuracy and by loss on the validation videos,
batch norm calibrated for each; those of them that the table or the journal has are what tau is over. Supernets stay in
--output, so that a run after the table has grown only scores the networks that it gained.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import nasbench_recipe
import numpy as np
import simplejson
import torch
from bench_supernet import (
    RUNTIME,
    CentreClips,
    SupernetRecipe,
    TrainingClips,
    accuracies_so_far,
    bootstrap_interval,
    kept_supernets,
)
from rich.progress import Progress
from scipy.stats import kendalltau

from pytorchvideo_autox3d import nasbench
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.nasbench import NasBench
from pytorchvideo_autox3d.nasbench.table import all_architectures
from pytorchvideo_autox3d.search import recalibrated
from pytorchvideo_autox3d.search.inherited import validate
from pytorchvideo_autox3d.supernet import Supernet, inherit

RESULTS = Path(__file__).parent / "results" / "supernet_ranking.json"
BASE = SupernetRecipe()
SANDWICH = replace(BASE, sandwich=True)
# Each is one change, but for the last; all but "twice as long" run the same number of passes.
VARIANTS = {
    "base": BASE,
    "SGD": replace(BASE, optimizer="sgd"),
    "four samples": replace(BASE, samples=4, epochs=10),
    "one sample": replace(BASE, samples=1, epochs=40),
    "sandwich": SANDWICH,
    "sandwich, distilled": replace(SANDWICH, distill=True),
    "sandwich of both ends, distilled": replace(SANDWICH, sandwich_narrowest=True, distill=True, samples=4, epochs=10),
    "no weight decay": replace(BASE, weight_decay=0.0),
    "naive selection": replace(BASE, selection="naive"),
    "half the rate": replace(BASE, base_lr=0.05),
    "twice as long": replace(BASE, epochs=40),
}
BN_BATCHES = 16
# Of the validation videos, for what fewer of them would have given.
FEW = 240


def main() -> None:
    """Run or print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("run", "print"))
    parser.add_argument("--data", type=Path, default=Path("output/nasbench/data"), help="made if not there")
    parser.add_argument("--journal", type=Path, default=Path("output/nasbench/rows"), help="of train_nasbench.py")
    parser.add_argument("--output", type=Path, default=Path("output/nasbench/supernets"))
    parser.add_argument("--table", default=None, help="a table's file; default the package's")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--networks", type=int, default=None, help="score so many, drawn once; default: all there are")
    args = parser.parse_args()
    bench = nasbench.load(args.table)
    if args.step == "run":
        torch.set_num_threads(1)
        run(args, bench)
    print_table(bench, accuracies_so_far(bench, args.journal), read_rows(args.results))


def read_rows(path: Path) -> dict[str, dict[str, Any]]:
    """The rows kept so far, by variant and seed."""
    rows = simplejson.loads(path.read_text(encoding="utf8"))["rows"] if path.is_file() else []
    return {f"{row['variant']}, seed {row['seed']}": row for row in rows}


def run(args: argparse.Namespace, bench: NasBench) -> None:
    """Train and score what is missing, a variant after another, the rows written after each."""
    data = nasbench_recipe.load_bench(args.data)
    rows = read_rows(args.results)
    with Progress() as progress:
        bar = progress.add_task("variants", total=len(args.seeds) * len(args.variants))
        for seed in args.seeds:
            for name in args.variants:
                row = {"variant": name, "seed": seed, "space": bench.space.name, "recipe": VARIANTS[name].to_dict()}
                before = rows.get(key := f"{name}, seed {seed}", {})
                row["scores"] = before["scores"] if before.items() >= row.items() else {}
                rows[key] = row
                bar_of_one = progress.add_task(name, total=VARIANTS[name].epochs)
                state, supernets = kept_supernets(
                    args.output, name, bench.space, data, VARIANTS[name], seed=seed,
                    progress=lambda bar=bar_of_one: progress.advance(bar),
                )  # fmt: skip
                progress.remove_task(bar_of_one)
                command = "projects/autox3d/supernet_ranking.py run"
                row |= {"cost": state["cost"], "command": command}
                known = accuracies_so_far(bench, args.journal)
                score_missing(supernets, data, row, drawn(known, args.networks), bench)
                truth = {str(number): accuracy for number, accuracy in known.items()}
                write_json(args.results, {"rows": list(rows.values()), "trained_from_scratch": truth})
                progress.advance(bar)


def drawn(known: dict[int, float], count: int | None) -> list[int]:
    """The networks to score, ascending: all, or the first `count` of an order drawn once."""
    numbers = sorted(known)
    return numbers if count is None else sorted(np.random.default_rng(0).permutation(numbers)[:count].tolist())


def score_missing(
    supernets: dict[str, Supernet], data: Any, row: dict[str, Any], networks: list[int], bench: NasBench
) -> None:
    """Score the networks that the row lacks: [accuracy, loss] by way of reading, the network's number as text."""
    architectures = all_architectures(bench.space)
    validation = CentreClips(data["val"])
    chosen = torch.randperm(len(data["val"]), generator=torch.Generator().manual_seed(0))[:FEW]
    few = CentreClips(nasbench_recipe.Videos(data["val"].frames_VCTHW[chosen], data["val"].label_V[chosen]))
    calibration = TrainingClips(data["train"], 32)
    for number in networks:
        if str(number) in row["scores"]:
            continue
        scores = {}
        for key, supernet in supernets.items():
            net = recalibrated(supernet, architectures[number], calibration, bn_batches=BN_BATCHES, runtime=RUNTIME)
            scores[key] = validate(net, validation, runtime=RUNTIME)
            if key == "weights":
                scores["few videos"] = validate(net, few, runtime=RUNTIME)
        net = inherit(supernets["weights"], architectures[number]).eval()
        scores["running statistics"] = validate(net, few, runtime=RUNTIME)
        row["scores"][str(number)] = scores


def print_table(bench: NasBench, known: dict[int, float], rows: dict[str, dict[str, Any]]) -> None:
    """Tau of every variant and way of reading, with 95% intervals over the networks; beside it that of the costs."""
    for row in rows.values():
        if row["space"] != bench.space.name:
            continue
        networks = [number for number in sorted(known) if str(number) in row["scores"]]
        truth = [known[number] for number in networks]
        print(f"{row['variant']}, seed {row['seed']}: {len(networks)} networks, {row['cost']['cpu_seconds']:.0f} CPU s")
        for way in ("weights", "average", "few videos", "running statistics"):
            pairs = [row["scores"][str(number)][way] for number in networks]
            print(f"  {way}: accuracy {_tau([a for a, _ in pairs], truth)}, loss {_tau([-b for _, b in pairs], truth)}")
    networks = sorted(known)
    for name, values in (("multiply-adds", bench.table.macs_N), ("parameters", bench.table.params_N)):
        print(f"{name}: {_tau([float(values[n]) for n in networks], [known[n] for n in networks])} of {len(networks)}")


def tau(score: Any, truth: Any) -> float:
    """Kendall's tau-b."""
    return float(kendalltau(score, truth).statistic)


def _tau(score: list[float], truth: list[float]) -> str:
    low, high = bootstrap_interval(tau, [score, truth])
    return f"{tau(score, truth):.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
