"""`autox3d convert-checkpoint`: X3D checkpoints between key names, and public weights of other networks into ours."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models.x3d_checkpoints import FORMATS, convert_checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two files, and either the format to write or the network to write for; the format to read is recognised."""
    parser.add_argument("source", help="a checkpoint of PySlowFast, PyTorchVideo, torchvision, TSM or this package")
    parser.add_argument("destination", help="the file to write")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument(
        "--to", choices=FORMATS,
        help="of an X3D: pytorchvideo: PyTorchVideo's hub and this package; slowfast: PySlowFast's X3D; "
        "slowfast-ptv: its PTVX3D",
    )  # fmt: skip
    wanted.add_argument(
        "--model", metavar="NAME",
        help="any other network, by its name in the hub or the registry: its weights under our names; those of a 2-D "
        "network are inflated",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    """Convert, and say what was done."""
    from pytorchvideo_autox3d.files import refuse_overwriting

    refuse_overwriting("destination", [args.destination], [args.source])
    if args.to:
        done = convert_checkpoint(args.source, args.destination, target=args.to)
        print(f"{args.source} ({done.source}) -> {args.destination} ({done.target}): {done.tensors} tensors")
        print("The network alone was converted; the optimiser's state and the epoch were left out.")
        return
    from pytorchvideo_autox3d.models.public_weights import convert_public_checkpoint

    public = convert_public_checkpoint(args.source, args.destination, _builder(args.model))
    print(
        f"{args.source} ({public.layout}) -> {args.destination}: {args.model}, {public.num_classes} classes, "
        f"{len(public.state) - len(public.fresh)} tensors"
    )
    if public.fresh:
        print(f"{len(public.fresh)} tensors that it lacks start afresh: {', '.join(public.fresh[:3])}, ...")


def _builder(name: str) -> Any:
    """The function that builds the network called `name` from `num_classes`.

    Raises:
        ModelError: there is no such network.
    """
    from pytorchvideo_autox3d.models.hub import HUB
    from pytorchvideo_autox3d.registry import MODEL_REGISTRY

    if name in HUB:
        return HUB[name].build
    if name not in MODEL_REGISTRY:
        raise ModelError(f"--model {name}: neither in the hub ({', '.join(HUB)}) nor in the registry")
    return lambda num_classes: partial(MODEL_REGISTRY.get(name), model_num_class=num_classes)()
