"""Arguments that several subcommands share."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytorchvideo_autox3d.errors import ConfigError

if TYPE_CHECKING:
    from pytorchvideo_autox3d.space import Architecture


def add_architecture(parser: argparse.ArgumentParser) -> None:
    """Add the positional argument `architecture`: a reference name or the path of an architecture JSON."""
    parser.add_argument(
        "architecture", nargs="?", default="S",
        help="S, M or L (references reconstructed from the paper's published constraints) or an architecture JSON",
    )  # fmt: skip


def architecture_of(args: argparse.Namespace) -> Architecture:
    """The architecture that the argument of `add_architecture` names."""
    from pytorchvideo_autox3d.models import find_architecture

    return find_architecture(args.architecture)


def check_at_least(args: argparse.Namespace, low: int, *names: str) -> None:
    """Check numeric arguments.

    Raises:
        ConfigError: one is below `low`; names the first.
    """
    for name in names:
        value = getattr(args, name)
        if value < low:
            raise ConfigError(f"--{name.replace('_', '-')} is {value:g}, expected {low} or more")


def check_can_write(option: str, path: Path) -> None:
    """Check, before the work whose result goes there, that a file can be written; nothing is made.

    Raises:
        ConfigError: it is a folder, or the nearest folder that exists can't be written to.
    """
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if path.is_dir():
        raise ConfigError(f"{option}: {path} is a folder, expected a file")
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ConfigError(f"{option}: can't write {path}: {above} is no folder that may be written to")


def clip_of(text: str) -> tuple[int, int, int]:
    """The clip size (T, H, W) of a text such as 13x160, which gives (13, 160, 160).

    Raises:
        ConfigError: the text has another form.
    """
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match or 0 in map(int, match.groups()):
        raise ConfigError(f"--clip: {text!r} is not FRAMESxCROP, as in 13x160")
    frames, crop = map(int, match.groups())
    return frames, crop, crop
