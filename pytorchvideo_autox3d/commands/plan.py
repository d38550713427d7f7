"""`autox3d plan`: step time, efficiency and days of a training or a search on N processes, before any are rented."""

from __future__ import annotations

import argparse
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from pytorchvideo_autox3d.commands.arguments import check_at_least, clip_of
from pytorchvideo_autox3d.commands.run import split_config_files
from pytorchvideo_autox3d.errors import ConfigError

if TYPE_CHECKING:
    from fvcore.common.config import CfgNode
    from rich.table import Table
    from torch import nn

    from pytorchvideo_autox3d.benchmarks.scaling import Step

_MOST_A_CORE = 8  # processes that --check starts
_EPOCHS = {"train": 300, "search": 600}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job, the link, and the numbers of processes."""
    parser.add_argument(
        "--cfg", nargs="+", metavar="YAML", help="the job of a config, with KEY VALUE pairs after its files"
    )
    parser.add_argument("--kind", choices=("train", "search"), help="default: search with --space, else train")
    parser.add_argument("--model", help="of a training: S, M, L, an architecture JSON, a name of hub or registry (S)")
    parser.add_argument("--space", help="of a search: a named space or a yaml file (table2)")
    parser.add_argument("--clip", help="FRAMESxCROP (13x160, or the config's)")
    parser.add_argument("--batch", type=int, help="clips a process (8, or the config's)")
    parser.add_argument("--samples", type=int, help="K of a search (13, or the config's)")
    parser.add_argument("--epochs", type=int, help="default: the config's, else 300 of a training, 600 of a search")
    parser.add_argument("--videos", type=int, default=240_000, help="of the list that the weights learn from")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8, 16, 32, 64], metavar="N", help="one a GPU")
    parser.add_argument("--link-gbit", type=float, default=25.0, help="gigabits a second between two machines")
    parser.add_argument("--latency-us", type=float, default=50.0, help="microseconds of a small message")
    parser.add_argument("--step-seconds", type=float, default=None, help="of one process; default: measured here")
    parser.add_argument("--device", default="cpu", help="where to measure")
    parser.add_argument("--repeats", type=int, default=5, help="steps that are measured")
    parser.add_argument(
        "--check", type=int, nargs="+", default=[], metavar="N", help="run N processes here, and print the error"
    )


def run(args: argparse.Namespace) -> None:
    """Measure a step, or the bytes of its gradients alone, and print the table."""
    from rich.console import Console

    from pytorchvideo_autox3d.benchmarks import scaling
    from pytorchvideo_autox3d.engine import usable_device

    given = [name for name in ("batch", "samples", "epochs") if getattr(args, name) is not None]
    check_at_least(args, 1, "videos", "repeats", *given)
    numbers = [*args.processes, *args.check]
    if min(numbers) < 1 or not (args.link_gbit > 0 and args.latency_us >= 0):
        raise ConfigError("--processes, --check and --link-gbit are above 0, --latency-us is 0 or more")
    if args.step_seconds is not None and not 0 < args.step_seconds < float("inf"):
        raise ConfigError(f"--step-seconds is {args.step_seconds:g}, expected a time above 0")
    if max(args.check, default=1) > (most := _MOST_A_CORE * (os.cpu_count() or 1)):
        raise ConfigError(f"--check is {max(args.check)}, expected at most {most} processes on this machine's cores")
    usable_device(args.device, "--device")
    step, what, epochs = _of_config(args) if args.cfg else _of_names(args)
    console = Console()
    if args.check:
        console.print(_checked(step, what, args.check, args.repeats))
        return
    if args.step_seconds is not None:
        measured = scaling.with_seconds(step, args.step_seconds)
    else:
        measured = scaling.measure(step, repeats=args.repeats, device=args.device)
    link = scaling.Link(args.link_gbit * 1e9 / 8, args.latency_us * 1e-6)
    rows = scaling.plan(measured, step, link, processes=args.processes, videos=args.videos, epochs=epochs)
    console.print(_table(rows, f"{what}: {measured.gradient_bytes / 1e6:.1f} MB of gradients a step"))


def _of_names(args: argparse.Namespace) -> tuple[Step, str, int]:
    """The step, its name and the epochs of what --model or --space names."""
    from pytorchvideo_autox3d.benchmarks import scaling

    kind = args.kind or ("search" if args.space else "train")
    wrong = "--model" if kind == "search" and args.model else "--space" if kind == "train" and args.space else ""
    if wrong:
        raise ConfigError(f"{wrong}: a {kind} has none; leave it out, or set --kind")
    clip = clip_of(args.clip or "13x160")
    name = args.space or "table2" if kind == "search" else args.model or "S"
    make: Any = scaling.named_supernet if kind == "search" else scaling.named_network
    step = scaling.Step(
        kind=kind, network=partial(make, name, clip), clip=clip, batch=args.batch or 8, samples=args.samples or 13
    )
    return step, f"{kind} of {name}", args.epochs or _EPOCHS[kind]


def _of_config(args: argparse.Namespace) -> tuple[Step, str, int]:
    """The step, its name and the epochs of the job that a config asks for; other arguments take its values' place.

    Raises:
        ConfigError: the config is wrong, or --kind, --model or --space are given beside it.
    """
    from pytorchvideo_autox3d.benchmarks import scaling
    from pytorchvideo_autox3d.config import load_cfg

    if beside := [name for name in ("kind", "model", "space") if getattr(args, name)]:
        raise ConfigError(f"--{beside[0]}: the config of --cfg says that")
    files, options = split_config_files(args.cfg)
    cfg = load_cfg(files, options)
    kind = "search" if cfg.SEARCH.ENABLE else "train"
    if kind == "search" and cfg.SEARCH.SPREAD != "clips":
        raise ConfigError(f"SEARCH.SPREAD: {cfg.SEARCH.SPREAD!r} is not planned, as its processes keep no batch each")
    crop = cfg.DATA.TRAIN_CROP_SIZE
    step = scaling.Step(
        kind=kind,
        network=partial(_network_of, cfg),
        classes=cfg.MODEL.NUM_CLASSES,
        clip=clip_of(args.clip) if args.clip else (cfg.DATA.NUM_FRAMES, crop, crop),
        batch=args.batch or max(1, cfg.TRAIN.BATCH_SIZE // max(1, cfg.NUM_GPUS)),
        samples=args.samples or cfg.SEARCH.NUM_SAMPLES,
    )
    epochs = cfg.SEARCH.EPOCHS if kind == "search" else cfg.SOLVER.MAX_EPOCH
    return step, f"{kind} of {files[-1]}", args.epochs or epochs


def _network_of(cfg: CfgNode) -> nn.Module:
    """What the config's job trains; also in a process of its own, which has imported nothing yet."""
    from pytorchvideo_autox3d.config import import_modules
    from pytorchvideo_autox3d.jobs import build

    import_modules(cfg.AUTOX3D.IMPORTS)
    return build.build_supernet(cfg) if cfg.SEARCH.ENABLE else build.build_model(cfg)


def _table(rows: list, title: str) -> Table:
    from rich.table import Table

    table = Table("processes", "step s", "efficiency", "days", title=title)
    for row in rows:
        table.add_row(str(row.processes), f"{row.step_seconds:.3f}", f"{100 * row.efficiency:.1f}%", f"{row.days:.2f}")
    return table


def _checked(step: Step, what: str, numbers: list[int], repeats: int) -> Table:
    from rich.table import Table

    from pytorchvideo_autox3d.benchmarks import scaling

    title = f"{what}: CPU processes of one thread, this machine"
    table = Table("processes", "predicted s", "measured s", "error", title=title)
    for number in numbers:
        predicted, found = scaling.check(step, number, repeats=repeats)
        table.add_row(str(number), f"{predicted:.3f}", f"{found:.3f}", f"{100 * (predicted / found - 1):+.0f}%")
    return table
