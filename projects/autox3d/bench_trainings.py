"""Networks trained from scratch on the bench data by one recipe, a file a training: what scripts share.

A network is plain data: its `role` in a comparison, and either `space` (a yaml file) with `choices` (candidate indices
of an architecture), or `bottleneck`, the factor of an X3D; `epochs` where they are not the recipe's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nasbench_recipe
import numpy as np
import simplejson
import torch
from rich.progress import Progress
from torch import nn

from pytorchvideo_autox3d.analysis import count_module
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.models.baselines import create_x3d_baseline
from pytorchvideo_autox3d.space import Architecture, load_space

CLIP = (nasbench_recipe.CLIP_LENGTH, nasbench_recipe.CROP, nasbench_recipe.CROP)
SEEDS = (0, 1, 2)
RECIPE = nasbench_recipe.Recipe()


def parsed_arguments(description: str | None, *, output: str) -> argparse.Namespace:
    """The arguments of a comparison that works in output/nasbench/<output>; torch has one thread from here on."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("output/nasbench/data"), help="made if not there")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--output", type=Path, default=Path("output/nasbench") / output, help="searches and trainings")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--print", action="store_true", help="only print what there is")
    torch.set_num_threads(1)
    return parser.parse_args()


def build(network: Mapping[str, Any]) -> nn.Module:
    """The network that plain data describes, untrained."""
    if "bottleneck" in network:
        return x3d(network["bottleneck"])
    return nasbench_recipe.build(Architecture.from_indices(load_space(network["space"]), network["choices"]))


def x3d(bottleneck: float) -> nn.Module:
    """X3D of half its width, one or two blocks a stage, as shallow as the space; its bottleneck is what is scaled."""
    net = create_x3d_baseline(
        model_num_class=nasbench_recipe.NUM_CLASSES, input_clip_length=CLIP[0], input_crop_size=CLIP[1],
        dropout_rate=0.0, width_factor=0.5, depth_factor=0.4, bottleneck_factor=bottleneck, head_hidden=96,
    )  # fmt: skip
    return net.to(memory_format=torch.channels_last_3d)


def train_missing(
    named: Mapping[str, Mapping[str, Any]],
    *,
    data: Path,
    journal: Path,
    command: str,
    workers: int,
    seeds: Sequence[int] = SEEDS,
) -> list[dict[str, Any]]:
    """Train every network from every seed, those of the first first, one file a training in `journal`; return them all.

    A network that has several names is trained once, under the first.
    """
    first: dict[str, str] = {}
    for name, network in named.items():
        first.setdefault(_identity(network), name)
    left = [
        (data, journal, name, named[name], seed, command)
        for seed in seeds
        for name in first.values()
        if not _kept(journal, name, named[name], seed)
    ]
    context = multiprocessing.get_context("spawn")
    with Progress() as progress, context.Pool(workers) as pool:
        bar = progress.add_task("trainings", total=len(left))
        for _ in pool.imap_unordered(_train, left):
            progress.advance(bar)
    trainings = []
    for name, network in named.items():
        for seed in seeds:
            file = kept_file(journal, first[_identity(network)], seed)
            training = simplejson.loads(file.read_text(encoding="utf8"))
            trainings.append({**training, "network": name, "role": network["role"]})
    return trainings


def _identity(network: Mapping[str, Any]) -> str:
    return simplejson.dumps({key: value for key, value in network.items() if key != "role"}, sort_keys=True)


def kept_file(journal: Path, name: str, seed: int) -> Path:
    """Of one training."""
    return journal / f"{name.replace(', ', '_').replace(' ', '_')}_{seed}.json"


def _kept(journal: Path, name: str, network: Mapping[str, Any], seed: int) -> bool:
    """Whether this training is there: one by that name of another network (of another search) or recipe is not it."""
    file = kept_file(journal, name, seed)
    if not file.is_file():
        return False
    training = simplejson.loads(file.read_text(encoding="utf8"))
    return all(training.get(key) == value for key, value in _described(network).items())


def _described(network: Mapping[str, Any]) -> dict[str, Any]:
    """What a training is of: the network, its space by its file's name, and the recipe."""
    kept = {key: network.get(key) for key in ("choices", "bottleneck", "epochs")}
    space = Path(network["space"]).name if "space" in network else None
    return {**kept, "space": space, "recipe": _recipe(network).to_dict()}


def _recipe(network: Mapping[str, Any]) -> nasbench_recipe.Recipe:
    return replace(RECIPE, epochs=network.get("epochs", RECIPE.epochs))


def _train(task: tuple[Path, Path, str, dict[str, Any], int, str]) -> None:
    folder, journal, name, network, seed, command = task
    torch.set_num_threads(1)
    os.nice(2)
    data = nasbench_recipe.load_bench(folder)
    torch.manual_seed(seed)
    net, recipe = build(network), _recipe(network)
    cost = count_module(net, CLIP)
    curves = nasbench_recipe.train_net(net, data, recipe, seed=seed)
    described = {**network, **{key: value for key, value in _described(network).items() if value is not None}}
    write_json(
        kept_file(journal, name, seed),
        {
            "network": name, **described, "seed": seed, "macs": cost.macs, "params": cost.params,
            "val": 100.0 * curves["val_right"][-1] / len(data["val"]),
            "test": 100.0 * curves["test_right"][-1] / len(data["test"]),
            "clips": recipe.epochs * len(data["train"]), "cpu_seconds": curves["seconds"], "command": command,
        },
    )  # fmt: skip


def mean_test(trainings: list[dict[str, Any]]) -> dict[str, float]:
    """Each network's mean test accuracy over its seeds, in percent."""
    names = dict.fromkeys(one["network"] for one in trainings)
    return {name: float(np.mean([one["test"] for one in trainings if one["network"] == name])) for name in names}
