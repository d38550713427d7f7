"""`autox3d draw`: an architecture in the manner of the paper's Figure 5."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytorchvideo_autox3d.commands.arguments import add_architecture, architecture_of, clip_of
from pytorchvideo_autox3d.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The architecture, and the picture's file."""
    add_architecture(parser)
    parser.add_argument("--output", type=Path, default=Path("architecture.svg"), help="an .svg or .png file")
    parser.add_argument("--clip", default="13x160", metavar="TxS", help="for the sizes at the side")
    parser.add_argument("--depth-factor", type=float, default=1.0, help="2 for AutoX3D-L")


def run(args: argparse.Namespace) -> None:
    """Draw, and say where."""
    from pytorchvideo_autox3d.report import draw_architecture, save_figure

    if args.output.suffix not in (".svg", ".png"):
        raise ConfigError(f"--output: {args.output} is neither an .svg nor a .png file")
    figure = draw_architecture(architecture_of(args), depth_factor=args.depth_factor, clip=clip_of(args.clip))
    save_figure(args.output, figure)
    print(args.output)
