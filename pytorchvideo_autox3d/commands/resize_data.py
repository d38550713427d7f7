"""`autox3d resize-data LIST OUTPUT`: re-encode a list of videos with a small short side, beside the sources."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pytorchvideo_autox3d.commands.arguments import check_at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The list, where to, and the encoder's settings."""
    parser.add_argument("list", help="a list of videos: csv, json or a folder of class folders")
    parser.add_argument("output", type=Path, help="a folder for the results; the sources stay as they are")
    parser.add_argument("--prefix", default="", help="joined before relative paths (DATA.PATH_PREFIX)")
    parser.add_argument("--short-side", type=int, default=256, help="in pixels: 256 or 340 as a rule")
    parser.add_argument("--gop", type=int, default=12, help="frames from one keyframe to the next")
    parser.add_argument("--crf", type=int, default=20, help="x264's quality: less is better and larger")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; 0: none but this one")


def run(args: argparse.Namespace) -> None:
    """Resize, or go on with what was interrupted."""
    from pytorchvideo_autox3d.data import read_list
    from pytorchvideo_autox3d.data.tools.resize import ResizeSettings, resize_list

    check_at_least(args, 0, "workers")
    manifest = read_list(args.list, path_prefix=args.prefix)
    settings = ResizeSettings(short_side=args.short_side, gop=args.gop, crf=args.crf)
    failed = resize_list(manifest, args.output, settings, workers=args.workers)
    for message in failed.values():
        print(f"left out: {message}")
    print(f"{args.output}: {len(manifest) - len(failed)} of {len(manifest)} videos")
