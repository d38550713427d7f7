"""`autox3d make-bench-data`: the data that networks and searches are compared on, as H.264 files with lists."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, the seed, and how many videos of each class."""
    parser.add_argument("directory", type=Path, help="where to; data of the same settings is reused")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train-per-class", type=int, default=None)
    parser.add_argument("--val-per-class", type=int, default=None)
    parser.add_argument("--test-per-class", type=int, default=None)


def run(args: argparse.Namespace) -> None:
    """Make the data and say what there is."""
    from pytorchvideo_autox3d.data.tools import BENCH_CLASSES, BenchSettings, make_bench_data

    chosen = ("seed", "train_per_class", "val_per_class", "test_per_class")
    settings = BenchSettings(**{key: getattr(args, key) for key in chosen if getattr(args, key) is not None})
    make_bench_data(args.directory, settings=settings)
    print(f"{args.directory}: {len(BENCH_CLASSES)} classes; train.csv, val.csv, test.csv")
