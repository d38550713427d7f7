"""`autox3d predict --model M VIDEO ...`: what videos show."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorchvideo_autox3d.commands.model_arguments import add_model, recognizer_of
from pytorchvideo_autox3d.errors import DataError, DecodeError

if TYPE_CHECKING:
    from pytorchvideo_autox3d.predict import Recognizer
    from pytorchvideo_autox3d.predict.output import ResumableRecords


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the videos, and the form of the answer."""
    add_model(parser)
    parser.add_argument(
        "videos", nargs="+", metavar="VIDEO",
        help="video, folder, pattern, list (csv or json), array of frames (.npy), or - for paths on standard input",
    )  # fmt: skip
    parser.add_argument("--prefix", default="", help="joined before a list's relative paths")
    parser.add_argument("--top", type=int, default=5, help="classes to name")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON object a video on standard output, nothing else")
    form.add_argument("--csv", action="store_true", help="csv on standard output, nothing else")
    parser.add_argument(
        "--output", type=Path, default=None, metavar="FILE",
        help="write JSON lines, or csv where it ends so; given again after an interruption it goes on",
    )  # fmt: skip
    parser.add_argument("--bad-videos", choices=("skip", "error"), default="skip", help="what an unreadable one means")


def run(args: argparse.Namespace) -> None:
    """Predict; bad videos are named on standard error and left out."""
    from rich.console import Console

    from pytorchvideo_autox3d.predict.output import ResumableRecords, table_of, write_records
    from pytorchvideo_autox3d.predict.sources import find_videos

    recognizer = recognizer_of(args, top=args.top)
    videos = find_videos(args.videos, prefix=args.prefix)
    kept = None
    if args.output:
        made_with = {"model": args.model, "views": str(recognizer.views), "top": args.top}
        kept = ResumableRecords(args.output, {**made_with, "card": recognizer.card.to_dict()})
    records = _records(args, recognizer, videos, kept)
    if args.json or args.csv:
        write_records(records, sys.stdout, form="csv" if args.csv else "json", top=args.top)
    else:
        Console().print(table_of(list(records)))


def _records(
    args: argparse.Namespace, recognizer: Recognizer, videos: list[str], kept: ResumableRecords | None
) -> Iterator[dict[str, Any]]:
    """The records of the videos that can be read, those of an interrupted run first."""
    earlier = kept.records if kept else {}
    yield from (earlier[video] for video in videos if "error" not in earlier.get(video, {"error": ""}))
    left = [video for video in videos if video not in earlier]
    faults: list[dict[str, Any]] = []
    with kept.appending() if kept else nullcontext():
        yield from _new_records(args, recognizer, left, faults, kept)
    if kept is not None:
        kept.finish(videos, top=args.top)
        print(f"written: {args.output}", file=sys.stderr)
    if len(faults) == len(videos):
        raise DataError(f"none of the {len(videos)} videos could be read")


def _new_records(
    args: argparse.Namespace,
    recognizer: Recognizer,
    videos: list[str],
    faults: list[dict[str, Any]],
    kept: ResumableRecords | None,
) -> Iterator[dict[str, Any]]:
    from rich.console import Console

    from pytorchvideo_autox3d.engine import ProgressBar

    errors = Console(stderr=True)
    bar = ProgressBar(console=errors)

    def skip(video: object, error: DecodeError) -> None:
        faults.append({"video": str(video), "error": str(error)})
        errors.print(f"skipped: {error}", markup=False, highlight=False, soft_wrap=True)
        if kept is not None:
            kept.add(faults[-1])

    bar.start("predict", len(videos))
    try:
        stop_at_once = args.bad_videos == "error" or len(videos) == 1
        for done, prediction in enumerate(recognizer.predict(videos, on_fault=None if stop_at_once else skip), start=1):
            record = prediction.to_dict()
            if kept is not None:
                kept.add(record)
            bar.update(done + len(faults))
            yield record
    finally:
        bar.stop()
