"""`autox3d make-bench-data`: the data that networks and searches are compared on, as H.264 files with lists."""

from __future__ import annotations

import argparse

from pytorchvideo_autox3d.commands.generated_data import add_arguments, announce, chosen

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> None:
    """Make the data and say what there is."""
    from pytorchvideo_autox3d.data.tools import BENCH_CLASSES, BenchSettings, make_bench_data

    make_bench_data(args.directory, settings=BenchSettings(**chosen(args)), num_workers=args.workers)
    announce(args.directory, len(BENCH_CLASSES))
