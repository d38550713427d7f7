"""`autox3d extract-features --model M --output FOLDER VIDEO ...`: a file of features for every video."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytorchvideo_autox3d.commands.model_arguments import add_model, recognizer_of
from pytorchvideo_autox3d.errors import DataError, DecodeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the videos, what of them and where to."""
    add_model(parser)
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="as of autox3d predict; a list's labels are kept")
    parser.add_argument("--output", type=Path, required=True, help="folder; given again, what is missing is made")
    parser.add_argument("--prefix", default="", help="joined before a list's relative paths")
    parser.add_argument("--kind", choices=("pooled", "map"), default="pooled", help="the classifier's or head's input")
    parser.add_argument("--format", choices=("npz", "safetensors"), default="npz")


def run(args: argparse.Namespace) -> None:
    """Extract; bad videos are named and left out."""
    from rich.console import Console

    from pytorchvideo_autox3d.engine import ProgressBar
    from pytorchvideo_autox3d.predict.features import FeatureFolder, feature_function
    from pytorchvideo_autox3d.predict.loading import model_hash
    from pytorchvideo_autox3d.predict.sources import find_labelled

    recognizer = recognizer_of(args)
    function = feature_function(recognizer, args.kind)
    videos, labels = find_labelled(args.videos, prefix=args.prefix)
    made_with = {
        "model": args.model,
        "kind": args.kind,
        "views": str(recognizer.views),
        "model file": model_hash(args.model),
        "card": recognizer.card.to_dict(),
    }
    folder = FeatureFolder(args.output, made_with, suffix=f".{args.format}")
    errors = Console(stderr=True)
    bar = ProgressBar(console=errors)

    def skip(video: object, error: DecodeError) -> None:
        errors.print(f"skipped: {error}", markup=False, highlight=False, soft_wrap=True)

    bar.start("features", len(videos))
    try:
        count = folder.extract(recognizer, videos, function, labels=labels, on_fault=skip, progress=bar.update)
    finally:
        bar.stop()
    if not count:
        raise DataError(f"none of the {len(videos)} videos could be read")
    print(f"features of {count} videos in {args.output}")
