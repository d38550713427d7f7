"""The arguments that `make-demo-data` and `make-bench-data` share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

_SETTINGS = ("seed", "train_per_class", "val_per_class", "test_per_class")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, the seed, and how many videos of each class."""
    parser.add_argument("directory", type=Path, help="where to; data of the same settings is reused")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train-per-class", type=int, default=None)
    parser.add_argument("--val-per-class", type=int, default=None)
    parser.add_argument("--test-per-class", type=int, default=None)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; 0: none but this one")


def chosen(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, by name; the others stay at the data set's defaults."""
    return {key: getattr(args, key) for key in _SETTINGS if getattr(args, key) is not None}


def announce(directory: Path, num_classes: int) -> None:
    """Print where the data are, how many classes they have, and their lists."""
    print(f"{directory}: {num_classes} classes; train.csv, val.csv, test.csv")
