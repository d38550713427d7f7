"""The networks that `autox3d demo` compares: the one that the search derived, and rivals of equal multiply-adds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytorchvideo_autox3d.errors import ConfigError

if TYPE_CHECKING:
    from fvcore.common.config import CfgNode

    from pytorchvideo_autox3d.commands.demo_tasks import DemoTask
    from pytorchvideo_autox3d.space import Architecture

# Architectures whose multiply-adds differ by less are equal for a comparison.
EQUAL_MACS = 0.05


class Entry(NamedTuple):
    """A model of the comparison: its name and role in the report, and the config that trains it."""

    name: str
    role: str
    cfg: CfgNode


def _options(args: argparse.Namespace, folder: str) -> list[Any]:
    opts: list[Any] = ["OUTPUT_DIR", str(args.output / folder), "RNG_SEED", args.seed]
    for key in ("DATA.PATH_TO_DATA_DIR", "DATA.PATH_PREFIX"):
        opts += [key, str(args.output / "data")]
    return [*opts, "AUTOX3D.DECODED_DIR", str(args.output / "data" / "decoded")]


def search_config(args: argparse.Namespace, task: DemoTask) -> CfgNode:
    """The config of the demo's search."""
    from pytorchvideo_autox3d.config import config_path, load_cfg

    opts, file = _options(args, "search"), config_path(task.search)
    if args.search_epochs is not None:
        whole = load_cfg(file, [])
        share = args.search_epochs / whole.SEARCH.EPOCHS
        opts += ["SEARCH.EPOCHS", args.search_epochs, "SEARCH.WARMUP_EPOCHS", int(share * whole.SEARCH.WARMUP_EPOCHS)]
        opts += ["SOLVER.WARMUP_EPOCHS", share * whole.SOLVER.WARMUP_EPOCHS]
    return load_cfg(file, opts)


def _train_config(args: argparse.Namespace, file: str, folder: str, **changes: Any) -> CfgNode:
    from pytorchvideo_autox3d.config import config_path, load_cfg

    opts = _options(args, folder)
    if args.epochs is not None:
        whole = load_cfg(config_path(file), []).SOLVER
        opts += ["SOLVER.MAX_EPOCH", args.epochs]
        opts += ["SOLVER.WARMUP_EPOCHS", whole.WARMUP_EPOCHS * args.epochs / whole.MAX_EPOCH]
    for key, value in changes.items():
        opts += [key.replace("__", "."), value]
    return load_cfg(config_path(file), opts)


def demo_entries(args: argparse.Namespace, task: DemoTask, search_cfg: CfgNode) -> list[Entry]:
    """The derived network, and rivals of its multiply-adds."""
    from pytorchvideo_autox3d.space import Architecture

    derived = Architecture.from_json(Path(search_cfg.OUTPUT_DIR, "architecture.json"))

    def autox3d(architecture: Architecture, folder: str) -> CfgNode:
        space = search_cfg.AUTOX3D.SPACE
        return _train_config(args, task.recipe, folder, AUTOX3D__SPACE=space, AUTOX3D__GROUPS=architecture.rows)

    own = autox3d(derived, "searched")
    macs = _multiply_adds(own)
    entries = [Entry("AutoX3D, searched", "searched", own), Entry("X3D", "X3D", _equal_x3d(args, task, macs))]
    for number, architecture in enumerate(_equal_architectures(own, derived, args.random, args.seed), start=1):
        entries.append(Entry(f"random {number}", "random", autox3d(architecture, f"random_{number}")))
    return entries


def _multiply_adds(cfg: CfgNode) -> int:
    from pytorchvideo_autox3d.analysis import count_module
    from pytorchvideo_autox3d.jobs import build

    return count_module(build.build_model(cfg), demo_clip(cfg)).macs


def _equal_x3d(args: argparse.Namespace, task: DemoTask, macs: int) -> CfgNode:
    """The demo's X3D with the bottleneck factor, X3D's own expansion axis, that brings it to `macs`."""
    low, high = 0.5, 12.0
    for _ in range(12):
        middle = (low + high) / 2
        cfg = _train_config(args, task.x3d, "x3d", X3D__BOTTLENECK_FACTOR=middle)
        reached = _multiply_adds(cfg)
        if abs(reached / macs - 1) < EQUAL_MACS / 5:
            return cfg
        low, high = (middle, high) if reached < macs else (low, middle)
    if abs(reached / macs - 1) < EQUAL_MACS:
        return cfg
    raise ConfigError(f"no X3D of {macs / 1e6:.2f} M multiply-adds: the nearest has {reached / 1e6:.2f} M")


def _equal_architectures(cfg: CfgNode, derived: Architecture, count: int, seed: int) -> list[Architecture]:
    """Uniform samples of the space whose multiply-adds equal the derived network's."""
    import torch

    from pytorchvideo_autox3d.analysis import complexity

    generator = torch.Generator().manual_seed(seed)
    options = {"clip": demo_clip(cfg), "num_classes": cfg.MODEL.NUM_CLASSES}
    wanted = complexity(derived, **options).macs
    found: list[Architecture] = []
    while len(found) < count:
        architecture = derived.space.sample(generator)
        if abs(complexity(architecture, **options).macs / wanted - 1) < EQUAL_MACS and architecture != derived:
            found.append(architecture)
    return found


def demo_clip(cfg: CfgNode) -> tuple[int, int, int]:
    """The size (T, H, W) of the clips that the networks are trained on."""
    return cfg.DATA.NUM_FRAMES, cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TRAIN_CROP_SIZE
