"""`autox3d make-flow LIST...`: the optical flow of every listed video, beside it, for networks of flow."""

from __future__ import annotations

import argparse
import os

from pytorchvideo_autox3d.commands.arguments import check_at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The lists, and how flow is computed."""
    parser.add_argument("lists", nargs="+", metavar="LIST", help="lists of videos: csv, json or class folders")
    parser.add_argument("--prefix", default="", help="joined before relative paths (DATA.PATH_PREFIX)")
    parser.add_argument("--short-side", type=int, default=256, help="in pixels; smaller videos keep their size")
    parser.add_argument(
        "--preset", choices=("ultrafast", "fast", "medium"), default="medium", help="of OpenCV's dense inverse search"
    )
    parser.add_argument("--crf", type=int, default=10, help="x264's quality: 0 keeps every value")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; 0: none but this one")


def run(args: argparse.Namespace) -> None:
    """Make the flow, or go on with what was interrupted; a video without flow in the end is an error."""
    from pytorchvideo_autox3d.data import read_list
    from pytorchvideo_autox3d.data.tools.make_flow import FlowSettings, make_flow_of_list
    from pytorchvideo_autox3d.errors import DataError

    check_at_least(args, 0, "workers")
    settings = FlowSettings(short_side=args.short_side, preset=args.preset, crf=args.crf)
    without = 0
    for name in args.lists:
        manifest = read_list(name, path_prefix=args.prefix)
        failed = make_flow_of_list(manifest, settings, workers=args.workers)
        for message in failed.values():
            print(f"left out: {message}")
        print(f"{name}: {len(manifest) - len(failed)} of {len(manifest)} videos have their flow")
        without += len(failed)
    if without:
        raise DataError(f"{without} videos have no flow; autox3d check-data writes a list of those that can be read")
