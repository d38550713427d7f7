"""`autox3d complexity`: the cost of an architecture, from its description alone."""

from __future__ import annotations

import argparse

from rich import box
from rich.console import Console
from rich.table import Table

from pytorchvideo_autox3d.commands.arguments import add_architecture, architecture_of, clip_of
from pytorchvideo_autox3d.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The architecture, the clips to count for, and the classes."""
    add_architecture(parser)
    parser.add_argument(
        "--clip", nargs="+", default=["13x160"], metavar="TxS", help="frames x crop, e.g. 13x160 16x224"
    )
    parser.add_argument("--classes", type=int, default=400)
    parser.add_argument("--depth-factor", type=float, default=1.0, help="2 for AutoX3D-L")


def run(args: argparse.Namespace) -> None:
    """Print one row a clip size."""
    from pytorchvideo_autox3d.analysis import complexity

    if args.classes < 1:
        raise ConfigError(f"--classes is {args.classes}, expected 1 or more")
    architecture = architecture_of(args)
    table = Table("clip", "GFLOPs", "params (M)", "largest activation (M)", box=box.SIMPLE_HEAD)
    for text in args.clip:
        clip = clip_of(text)
        cost = complexity(architecture, clip=clip, num_classes=args.classes, depth_factor=args.depth_factor)
        row = (cost.macs / 1e9, cost.params / 1e6, cost.peak_activation / 1e6)
        table.add_row(f"{clip[0]} x {clip[1]}^2", *(f"{value:.3f}" for value in row))
    console = Console()
    console.print(architecture.describe())
    console.print(table)
    console.print("GFLOPs: multiply-adds of convolutions, linear layers and matrix products, for one clip.")
