"""Arguments that several subcommands share."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from pytorchvideo_autox3d.errors import ConfigError

if TYPE_CHECKING:
    from pytorchvideo_autox3d.space import Architecture


def add_architecture(parser: argparse.ArgumentParser) -> None:
    """One positional argument: a reference name or the path of an architecture JSON."""
    parser.add_argument(
        "architecture", nargs="?", default="S",
        help="S, M or L (references reconstructed from the paper's published constraints) or an architecture JSON",
    )  # fmt: skip


def architecture_of(args: argparse.Namespace) -> Architecture:
    """The architecture that the argument of `add_architecture` names."""
    from pytorchvideo_autox3d.models import find_architecture

    return find_architecture(args.architecture)


def check_at_least(args: argparse.Namespace, low: int, *names: str) -> None:
    """Raise `ConfigError` naming the first of these arguments that is below `low`."""
    for name in names:
        value = getattr(args, name)
        if value < low:
            raise ConfigError(f"--{name.replace('_', '-')} is {value:g}, expected {low} or more")


def clip_of(text: str) -> tuple[int, int, int]:
    """`13x160` -> (13, 160, 160): frames, height, width."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match or 0 in map(int, match.groups()):
        raise ConfigError(f"--clip: {text!r} is not FRAMESxCROP, as in 13x160")
    frames, crop = map(int, match.groups())
    return frames, crop, crop
