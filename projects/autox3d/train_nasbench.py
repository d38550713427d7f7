"""Train every network of configs/spaces/nasbench.yaml, and collect the table of `pytorchvideo_autox3d.nasbench`.

    python projects/autox3d/train_nasbench.py train     # hours of CPU; stop it and start it again at will
    python projects/autox3d/train_nasbench.py collect   # trainings finished so far go into the table
    python projects/autox3d/train_nasbench.py latency   # on a quiet machine: milliseconds of each network
    python projects/autox3d/train_nasbench.py status

A finished training is one file in --journal. What the table already holds is not trained again, so that a bare checkout
goes on from where the last `collect` was committed. All networks from seed 0 come first, then from seed 1 and seed 2,
in an order drawn once, so that the trainings done are a fair sample at any time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nasbench_recipe
import numpy as np
import simplejson
import torch
from rich.progress import Progress

import pytorchvideo_autox3d
from pytorchvideo_autox3d.analysis import complexity, measure_latency
from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.nasbench.bench import TABLE_FILE
from pytorchvideo_autox3d.nasbench.table import SPLITS, Table, all_architectures, read_table, write_table
from pytorchvideo_autox3d.space import load_space

SPACE = Path(__file__).parents[2] / "configs" / "spaces" / "nasbench.yaml"
SEEDS = (0, 1, 2)
CLIP = (nasbench_recipe.CLIP_LENGTH, nasbench_recipe.CROP, nasbench_recipe.CROP)
# Twice as long as a comparison's training: trainings differ less by luck (docs/nasbench.md).
RECIPE = nasbench_recipe.Recipe(epochs=20)


@dataclass(frozen=True)
class Task:
    """One training: a network by its number in the table's order, and a seed."""

    network: int
    seed: int

    @property
    def name(self) -> str:
        """Of its file in the journal."""
        return f"{self.seed}_{self.network:04d}.json"


def main() -> None:
    """Run one of the four steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("train", "collect", "latency", "status"))
    parser.add_argument("--data", type=Path, default=Path("output/nasbench/data"), help="made if not there")
    parser.add_argument("--journal", type=Path, default=Path("output/nasbench/rows"))
    parser.add_argument("--table", type=Path, default=TABLE_FILE)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--limit", type=int, default=None, help="trainings at most")
    parser.add_argument("--space", type=Path, default=SPACE)
    args = parser.parse_args()
    {"train": train_all, "collect": collect, "latency": latency, "status": status}[args.step](args)


def tasks(space_size: int) -> list[Task]:
    """All trainings in the order they are done."""
    order = np.random.default_rng(0).permutation(space_size).tolist()
    return [Task(network, seed) for seed in SEEDS for network in order]


def open_tasks(args: argparse.Namespace) -> list[Task]:
    """The trainings that neither the table nor the journal holds."""
    size = load_space(args.space).size
    table = _table(args)
    return [
        task
        for task in tasks(size)
        if not table.trained_NS[task.network, SEEDS.index(task.seed)] and not (args.journal / task.name).is_file()
    ]


def train_all(args: argparse.Namespace) -> None:
    """Train what is left, with a bar; each worker is one thread of low priority, one worker is this process."""
    left = open_tasks(args)[: args.limit]
    nasbench_recipe.load_bench(args.data)
    with Progress() as progress:
        bar = progress.add_task("trainings", total=len(left))
        if args.workers == 1:
            _start_worker(args.data, args.space, args.journal)
            for task in left:
                _train_one(task)
                progress.advance(bar)
            return
        context = multiprocessing.get_context("spawn")
        with context.Pool(args.workers, _start_worker, (args.data, args.space, args.journal)) as pool:
            for _ in pool.imap_unordered(_train_one, left):
                progress.advance(bar)


_WORKER: dict[str, Any] = {}


def _start_worker(data: Path, space: Path, journal: Path) -> None:
    torch.set_num_threads(1)
    os.nice(2)
    networks = all_architectures(load_space(space))
    _WORKER.update(data=nasbench_recipe.load_bench(data), networks=networks, journal=journal)


def _train_one(task: Task) -> None:
    architecture = _WORKER["networks"][task.network]
    _, curves = nasbench_recipe.train(architecture, _WORKER["data"], RECIPE, seed=task.seed)
    row = {"space": architecture.space.name, "recipe": RECIPE.to_dict(), **curves}
    write_json(_WORKER["journal"] / task.name, row)


def collect(args: argparse.Namespace) -> None:
    """Merge the journal into the table."""
    table = _table(args)
    for path in sorted(args.journal.glob("*.json")):
        row = simplejson.loads(path.read_text(encoding="utf8"))
        if (row.get("space"), row["recipe"]) != (table.space.name, RECIPE.to_dict()):
            raise DataError(f"{path}: trained in another space or by another recipe, {row['recipe']}")
        seed, network = map(int, path.stem.split("_"))
        for split in SPLITS:
            getattr(table, f"{split}_right_NSE")[network, seed] = row[f"{split}_right"]
            getattr(table, f"{split}_loss_NSE")[network, seed] = row[f"{split}_loss"]
        table.seconds_NS[network, seed] = row["seconds"]
    write_table(args.table, table)
    status(args)


def status(args: argparse.Namespace) -> None:
    """How many trainings there are, and how long what is left takes."""
    table, left = _table(args), open_tasks(args)
    per_seed = ", ".join(f"seed {seed}: {count}" for seed, count in zip(SEEDS, table.trained_NS.sum(0), strict=True))
    typical = float(np.nanmean(table.seconds_NS)) if table.trained_NS.any() else float("nan")
    print(
        f"{args.table}: {per_seed} of {len(table.macs_N)} networks; {len(left)} trainings left of {typical:.0f} CPU s"
    )


def latency(args: argparse.Namespace) -> None:
    """Milliseconds of one clip on one thread: medians of 20 interleaved rounds over groups of 12 networks."""
    torch.set_num_threads(1)
    table, networks = _table(args), all_architectures(load_space(args.space))
    clip = torch.randn(1, 3, *CLIP).contiguous(memory_format=torch.channels_last_3d)
    for start in range(0, len(networks), 12):
        if not np.isnan(table.milliseconds_N[start : start + 12]).any():
            continue
        nets = {str(n): nasbench_recipe.build(networks[n]).eval() for n in range(start, min(start + 12, len(networks)))}
        with torch.inference_mode():
            measured = measure_latency({name: (lambda net=net: net(clip)) for name, net in nets.items()})
        for name, one in measured.items():
            table.milliseconds_N[int(name)] = one.median
        write_table(args.table, table)


def _table(args: argparse.Namespace) -> Table:
    """The table so far, or an empty one."""
    if args.table.is_file():
        table = read_table(args.table)
        if table.card["recipe"] != RECIPE.to_dict():
            raise DataError(f"{args.table}: trained by another recipe, {table.card['recipe']}")
        return table
    space = load_space(args.space)
    costs = [complexity(net, clip=CLIP, num_classes=nasbench_recipe.NUM_CLASSES) for net in all_architectures(space)]
    shape = (space.size, len(SEEDS), len(RECIPE.checkpoints))
    return Table(
        space=space,
        card=_card(),
        seeds_S=np.array(SEEDS),
        epochs_E=np.array(RECIPE.checkpoints),
        **{f"{split}_right_NSE": np.full(shape, -1, np.int16) for split in SPLITS},
        **{f"{split}_loss_NSE": np.full(shape, np.nan, np.float32) for split in SPLITS},
        seconds_NS=np.full(shape[:2], np.nan, np.float32),
        macs_N=np.array([cost.macs for cost in costs]),
        params_N=np.array([cost.params for cost in costs]),
        milliseconds_N=np.full(space.size, np.nan, np.float32),
    )


def _card() -> dict[str, Any]:
    """How the table was made."""
    from pytorchvideo_autox3d.data.tools import BenchSettings

    settings = BenchSettings()
    classes = nasbench_recipe.NUM_CLASSES
    return {
        "data": "autox3d make-bench-data, default settings",
        "videos": {
            "train": settings.train_per_class * classes,
            "val": settings.val_per_class * classes,
            "test": settings.test_per_class * classes,
        },
        "clip": list(CLIP),
        "sampling_rate": nasbench_recipe.SAMPLING_RATE,
        "num_classes": classes,
        "recipe": RECIPE.to_dict(),
        "test": f"one centre clip a video after epochs {', '.join(map(str, RECIPE.checkpoints))}",
        "seconds": "CPU time of training on one thread, without testing, on a machine that other work shared",
        "milliseconds": "one clip on one thread, median of 20 interleaved rounds",
        "made_with": {
            "pytorchvideo_autox3d": pytorchvideo_autox3d.__version__,
            "torch": torch.__version__,
            "processor": platform.machine(),
        },
        "limits": "made data of 28^2 pixels; says nothing about Kinetics. Curves are of one schedule: accuracy after "
        "an early epoch is not that of a training which ends there.",
    }


if __name__ == "__main__":
    main()
