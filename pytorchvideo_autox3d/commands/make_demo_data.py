"""`autox3d make-demo-data`: eight camera motions over photographs, as H.264 files with lists."""

from __future__ import annotations

import argparse

from pytorchvideo_autox3d.commands.generated_data import add_arguments, announce, chosen

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> None:
    """Make the data and say what there is."""
    from pytorchvideo_autox3d.data.tools import DEMO_CLASSES, DemoSettings, make_demo_data

    make_demo_data(args.directory, settings=DemoSettings(**chosen(args)), num_workers=args.workers)
    announce(args.directory, len(DEMO_CLASSES))
