"""`autox3d convert-checkpoint`: X3D checkpoints between PySlowFast's, PyTorchVideo's and our key names."""

from __future__ import annotations

import argparse

from pytorchvideo_autox3d.models.x3d_checkpoints import FORMATS, convert_checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two files and the format to write; the format to read is recognised."""
    parser.add_argument("source", help="a checkpoint of PySlowFast, PyTorchVideo's hub, or this package")
    parser.add_argument("destination", help="the file to write")
    parser.add_argument(
        "--to", choices=FORMATS, required=True,
        help="pytorchvideo: PyTorchVideo's hub and this package; slowfast: PySlowFast's X3D; slowfast-ptv: its PTVX3D",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    """Convert, and say what was done."""
    done = convert_checkpoint(args.source, args.destination, target=args.to)
    print(f"{args.source} ({done.source}) -> {args.destination} ({done.target}): {done.tensors} tensors")
    print("The network alone was converted; the optimiser's state and the epoch were left out.")
