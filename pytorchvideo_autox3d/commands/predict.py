"""`autox3d predict --model M VIDEO ...`: what videos show."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorchvideo_autox3d.commands.model_arguments import add_model, recognizer_of
from pytorchvideo_autox3d.errors import ConfigError, DataError, DecodeError

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
    parser.add_argument(
        "--backend", choices=("eager", "onnx", "openvino"), default="eager", help="what runs the network"
    )
    parser.add_argument("--prefix", default="", help="joined before a list's relative paths")
    parser.add_argument("--top", type=int, default=5, help="classes to name")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON object a video on standard output, nothing else")
    form.add_argument("--csv", action="store_true", help="csv on standard output, nothing else")
    parser.add_argument(
        "--output", type=Path, default=None, metavar="FILE",
        help="write JSON lines, or csv where it ends so; given again after an interruption it goes on",
    )  # fmt: skip
    parser.add_argument("--annotate", type=Path, default=None, metavar="FOLDER", help="write mp4s with label and score")
    parser.add_argument("--segments", action="store_true", help="for long videos: what they show when, in segments")
    parser.add_argument("--stride", type=float, default=None, help="seconds between two windows; default: half a clip")
    parser.add_argument(
        "--min-seconds", type=float, default=None, help="shorter segments are smoothed away; default: 1"
    )
    parser.add_argument("--timeline", type=Path, default=None, metavar="FOLDER", help="pictures of the segments (PNG)")
    parser.add_argument("--bad-videos", choices=("skip", "error"), default="skip", help="what an unreadable one means")


def run(args: argparse.Namespace) -> None:
    """Predict; bad videos are named on standard error and left out."""
    from rich.console import Console

    from pytorchvideo_autox3d.predict.loading import model_hash
    from pytorchvideo_autox3d.predict.output import ResumableRecords, segment_table, table_of, write_records
    from pytorchvideo_autox3d.predict.sources import find_videos

    for option in ("timeline", "stride", "min_seconds"):
        if getattr(args, option) is not None and not args.segments:
            raise ConfigError(f"--{option.replace('_', '-')} is of segments: give --segments too")
    args.min_seconds = 1.0 if args.min_seconds is None else args.min_seconds
    recognizer = recognizer_of(args, top=args.top)
    videos = find_videos(args.videos, prefix=args.prefix)
    _refuse_overwriting(args, videos)
    kept = None
    if args.output:
        decisive = ("model", "backend", "top", "segments", "stride", "min_seconds")
        made_with = {name: getattr(args, name) for name in decisive}
        kept = ResumableRecords(
            args.output,
            {
                **made_with,
                "views": str(recognizer.views),
                "model file": model_hash(args.model),
                "card": recognizer.card.to_dict(),
            },
        )
    records = _records(args, recognizer, videos, kept)
    if args.json or args.csv:
        write_records(records, sys.stdout, form="csv" if args.csv else "json", top=args.top, segments=args.segments)
    else:
        Console().print((segment_table if args.segments else table_of)(list(records)))


def _refuse_overwriting(args: argparse.Namespace, videos: list[str]) -> None:
    """`ConfigError` where what is to be written would replace a video or a list."""
    from pytorchvideo_autox3d.files import refuse_overwriting
    from pytorchvideo_autox3d.predict.records import unique_names

    if args.output:
        refuse_overwriting("--output", [args.output], [*videos, *args.videos])
    if args.annotate:
        refuse_overwriting(
            "--annotate", [args.annotate / f"{name}.mp4" for name in unique_names(videos).values()], videos
        )


def _records(
    args: argparse.Namespace, recognizer: Recognizer, videos: list[str], kept: ResumableRecords | None
) -> Iterator[dict[str, Any]]:
    """The records of the videos that can be read, those of an interrupted run first.

    Raises:
        DataError: no video can be read.
    """
    earlier = dict(kept.records) if kept else {}
    yield from (earlier[video] for video in videos if "error" not in earlier.get(video, {"error": ""}))
    left = [video for video in videos if video not in earlier]
    faults: list[dict[str, Any]] = []
    bad = sum("error" in earlier.get(video, ()) for video in videos)
    with kept.appending() if kept else nullcontext():
        for record in _new_records(args, recognizer, left, faults, kept):
            if kept is not None:
                kept.add(record)
            yield record
    if kept is not None:
        kept.finish(videos, top=args.top)
        print(f"written: {args.output}", file=sys.stderr)
    if bad + len(faults) == len(videos):
        raise DataError(f"none of the {len(videos)} videos could be read")


def _new_records(
    args: argparse.Namespace,
    recognizer: Recognizer,
    videos: list[str],
    faults: list[dict[str, Any]],
    kept: ResumableRecords | None,
) -> Iterator[dict[str, Any]]:
    """The records of videos that have none yet, under a progress bar on standard error."""
    from rich.console import Console

    from pytorchvideo_autox3d.engine import ProgressBar
    from pytorchvideo_autox3d.predict.records import SegmentOptions, segment_records, view_records

    errors = Console(stderr=True)
    bar = ProgressBar(console=errors)
    done = 0

    def skip(video: object, error: DecodeError) -> None:
        faults.append({"video": str(video), "error": str(error)})
        errors.print(f"skipped: {error}", markup=False, highlight=False, soft_wrap=True)
        if kept is not None:
            kept.add(faults[-1])

    def report(video: str, windows: int, total: int) -> None:
        bar.update(done + len(faults), f"{100 * windows // total}% of {Path(video).name}")

    on_fault = None if args.bad_videos == "error" or len(videos) == 1 else skip
    options = SegmentOptions(args.stride, args.min_seconds, args.timeline)
    bar.start("predict", len(videos))
    try:
        for record in (
            segment_records(recognizer, videos, options, films=args.annotate, on_fault=on_fault, progress=report)
            if args.segments
            else view_records(recognizer, videos, films=args.annotate, on_fault=on_fault)
        ):
            done += 1
            bar.update(done + len(faults))
            yield record
    finally:
        bar.stop()
