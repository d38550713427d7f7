"""Does a search win where the space is too large to enumerate? The found networks against chance and against X3D.

    python projects/autox3d/search_wins.py      # CPU hours; stop it, start it again
    python projects/autox3d/search_wins.py --print

The space is spaces/bench_large.yaml, the data and the recipe of every training are the table's (docs/nasbench.md). From
each of five seeds a search finds a network that spends 95% to 100% of the budget. It is trained from three seeds, and
so are the rivals: 15 random networks that spend as much (the median, the best, and random search at the search's whole
cost, which chooses among draws of these 15 by validation), and X3D scaled to the same multiply-adds and to the same
milliseconds. Results: results/search_wins.json, each training with its seed, cost and command.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench_searches
import nas_methods
import nasbench_recipe
import numpy as np
import simplejson
import torch
from rich.progress import Progress
from torch import nn
from train_nasbench import RECIPE

from pytorchvideo_autox3d.analysis import CostTable, count_module, measure_latency
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.models.baselines import create_x3d_baseline
from pytorchvideo_autox3d.space import Architecture, SearchSpace, load_space

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results" / "search_wins.json"
SPACE = FOLDER / "spaces" / "bench_large.yaml"
COMMAND = "projects/autox3d/search_wins.py"
TARGET_MACS = 3.0e6
FLOOR = 0.95
SEEDS = (0, 1, 2)
RANDOM = 15
CLIP = (nasbench_recipe.CLIP_LENGTH, nasbench_recipe.CROP, nasbench_recipe.CROP)


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
        train_missing(networks(searched), args)
        write_json(args.results, summary(searched, networks(searched), args.journal))
    print_summary(simplejson.loads(args.results.read_text(encoding="utf8")))


def run_searches(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The search that docs/search.md recommends, from five seeds, under the budget."""
    method = replace(bench_searches.METHODS["ours"], derive="best_of", floor=FLOOR)
    tasks = [(args.data, str(SPACE), method, seed, TARGET_MACS / 1e9, "ours") for seed in range(5)]
    kept = argparse.Namespace(data=args.data, results=args.searches, workers=args.workers)
    return sorted(bench_searches.run_missing(tasks, kept), key=lambda row: row["seed"])


def networks(searched: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What is trained, by name: a list of choices of the space, or X3D's factors."""
    space = load_space(str(SPACE))
    named: dict[str, dict[str, Any]] = {
        f"found {row['seed']}": {"role": "found", "choices": row["architecture"]} for row in searched
    }
    for number, architecture in enumerate(random_networks(space)):
        named[f"random {number}"] = {"role": "random", "choices": list(architecture.indices)}
    named["X3D, multiply-adds"] = {"role": "x3d_macs", "bottleneck": x3d_of_macs()}
    found = [Architecture.from_indices(space, row["architecture"]) for row in searched]
    named["X3D, milliseconds"] = {"role": "x3d_ms", "bottleneck": x3d_of_milliseconds(found)}
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


def x3d(bottleneck: float) -> nn.Module:
    """X3D with one block a stage at least, as deep as X3D-XS is wide: its bottleneck is what scales."""
    net = create_x3d_baseline(
        model_num_class=nasbench_recipe.NUM_CLASSES, input_clip_length=CLIP[0], input_crop_size=CLIP[1],
        dropout_rate=0.0, width_factor=X3D_WIDTH, depth_factor=1.0, bottleneck_factor=bottleneck, head_hidden=128,
    )  # fmt: skip
    return net.to(memory_format=torch.channels_last_3d)
