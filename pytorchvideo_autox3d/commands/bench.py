"""`autox3d bench`: figures measured side by side in one process, as a table and as JSON."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from pytorchvideo_autox3d.commands.arguments import check_at_least, check_can_write, clip_of

BENCHMARKS = {
    "cost": "a vectorised table of the cost of many architectures",
    "model": "GFLOPs, parameters, latency and peak memory of any models",
    "depthwise": "depthwise 3D convolution kernels against torch's, by shape, beside the machine's limit",
    "step": "whole training steps on this package's kernels, against the same networks as torch runs them",
    "loader": "training clips and test videos through our reader, PyTorchVideo's, torchcodec's and the bare decoder",
    "deploy": "AutoX3D-S and X3D-S on every road to a device: eager, fused, compiled, exported, in 8 bits",
    "nas": "search methods side by side on the table of trained networks, its noise ceiling first",
    "search": "a search step's memory and time beside plain training, the two-pass form and a mixture supernet",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's name, and where to write its JSON."""
    listed = "; ".join(f"{name}: {what}" for name, what in BENCHMARKS.items())
    parser.add_argument("benchmark", choices=sorted(BENCHMARKS), help=listed)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the figures as JSON too")
    parser.add_argument("--models", nargs="+", default=None, help="bench model, step, deploy: names in the hub")
    parser.add_argument(
        "--clip",
        nargs="+",
        default=[],
        metavar="TxS",
        help="bench model: clip sizes, default the model's; bench deploy: one",
    )
    parser.add_argument("--device", default="cpu", help="bench model, depthwise, step, search: cpu or cuda")
    parser.add_argument(
        "--shapes-of", nargs="+", default=None, metavar="MODEL", help="bench depthwise: hub names or demo; default all"
    )
    parser.add_argument("--batches", nargs="+", type=int, default=[4, 32], help="bench depthwise: clips a step")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="bench depthwise"
    )
    parser.add_argument("--batch", type=int, default=None, help="bench step: clips a step; default by model")
    parser.add_argument("--compile", action="store_true", help="bench step: torch.compile among the candidates")
    parser.add_argument("--roads", nargs="+", default=[], metavar="ROAD", help="bench deploy: some; default all")
    parser.add_argument("--threads", type=int, default=None, help="bench deploy: default torch's number")
    parser.add_argument("--profile", action="store_true", help="bench step: where the time goes, by operator")
    parser.add_argument("--count", type=int, default=1_000_000, help="bench cost: architectures")
    parser.add_argument("--rounds", type=int, default=10, help="bench loader: rounds over the candidates")
    parser.add_argument("--table", default=None, metavar="FILE", help="bench nas: a table; default the package's")
    parser.add_argument("--methods", nargs="+", default=None, help="bench nas: names in the SEARCH registry")
    parser.add_argument(
        "--imports", nargs="+", default=[], metavar="MODULE", help="bench nas: modules of yours that register methods"
    )
    parser.add_argument("--repeats", type=int, default=20, help="bench nas: runs of each method")
    parser.add_argument("--trainings", type=float, default=16.0, help="bench nas: trainings that a method may spend")
    parser.add_argument(
        "--budget", type=float, default=0.5, help="bench nas: share of the networks within it, the cheapest ones"
    )


def run(args: argparse.Namespace) -> None:
    """Run one benchmark, print its table, and write the JSON if asked for."""
    from pytorchvideo_autox3d.config import import_modules
    from pytorchvideo_autox3d.engine import usable_device  # imports torch

    usable_device(args.device, "--device")
    if args.json:
        check_can_write("--json", args.json)
    if args.benchmark == "nas":
        import_modules(args.imports, key="--imports")
    module = importlib.import_module(f"pytorchvideo_autox3d.benchmarks.{args.benchmark}")
    result = module.run(**_options(args))
    module.print_table(result)
    if args.json:
        from pytorchvideo_autox3d.files import write_json

        write_json(args.json, result)


def _options(args: argparse.Namespace) -> dict:
    if args.benchmark == "cost":
        return {"count": args.count}
    models = {"models": args.models} if args.models else {}
    if args.benchmark == "model":
        return {**models, "clips": [clip_of(text) for text in args.clip], "device": args.device}
    if args.benchmark == "depthwise":
        shapes = {"models": args.shapes_of} if args.shapes_of else {}
        return {**shapes, "batches": args.batches, "device": args.device, "dtype": args.dtype}
    if args.benchmark == "nas":
        chosen = ("table", "repeats", "trainings", "budget")
        methods = {"methods": args.methods} if args.methods else {}
        methods |= {"imports": args.imports} if args.imports else {}
        return {**methods, **{name: getattr(args, name) for name in chosen}}
    if args.benchmark == "deploy":
        check_at_least(args, 1, *(["threads"] if args.threads is not None else []))
        clips = {"clip": clip_of(args.clip[0])} if args.clip else {}
        return {**models, "roads": args.roads, "threads": args.threads, **clips}
    if args.benchmark == "loader":
        return {"rounds": args.rounds}
    if args.benchmark == "step":
        check_at_least(args, 1, *(["batch"] if args.batch is not None else []))
        options = {"device": args.device, "compiled": args.compile, "profiled": args.profile}
        return {**models, "batch": args.batch, **options}
    return {"device": args.device}
