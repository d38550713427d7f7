"""`autox3d calibrate --model M --list val.csv`: scores that are probabilities, and "none of these"."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from pytorchvideo_autox3d.commands.model_arguments import add_model, recognizer_of
from pytorchvideo_autox3d.errors import ConfigError

if TYPE_CHECKING:
    from pytorchvideo_autox3d.predict.calibration import Fit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the videos to fit on, and how many of them to keep."""
    add_model(parser)
    parser.add_argument("--list", required=True, help="labelled videos that training has not seen")
    parser.add_argument("--prefix", default="", help="joined before the lists' relative paths")
    parser.add_argument("--keep", type=float, default=0.95, help="share of rightly recognised videos to accept")
    parser.add_argument("--unknown", default=None, metavar="LIST", help="videos of no class; in place of --keep")


def run(args: argparse.Namespace) -> None:
    """Fit, say what came of it, and keep it with the model: in a package's card, or beside a checkpoint."""
    from pytorchvideo_autox3d.predict.calibration import fit_calibration
    from pytorchvideo_autox3d.predict.loading import calibration_file, keep_calibration
    from pytorchvideo_autox3d.predict.measure import read_labelled
    from pytorchvideo_autox3d.predict.sources import find_videos

    if not 0 < args.keep <= 1:
        raise ConfigError(f"--keep is {args.keep:g}, expected a share above 0 up to 1")
    calibration_file(args.model)  # before the videos are read
    recognizer = recognizer_of(args)
    manifest = read_labelled(recognizer, args.list, prefix=args.prefix)
    unknown = find_videos([args.unknown], prefix=args.prefix) if args.unknown else []
    fit = fit_calibration(
        list(recognizer.video_logits(manifest.paths)),
        manifest.labels,
        ensemble=recognizer.card.ensemble,
        keep=args.keep,
        unknown_VK=list(recognizer.video_logits(unknown)),
        list_hash=manifest.digest(),
    )
    _print(fit, len(manifest), len(unknown))
    print(f"written: {os.fspath(keep_calibration(args.model, fit.calibration))}")


def _print(fit: Fit, videos: int, unknown: int) -> None:
    found = fit.calibration
    print(f"{videos} videos, temperature {found.temperature:.3f}")
    print(f"expected calibration error {found.ece_before:.4f} before, {found.ece_after:.4f} after")
    print(f"negative log-likelihood {fit.nll_before:.4f} before, {fit.nll_after:.4f} after")
    print(
        f"threshold {found.threshold:.3f}: {100 * fit.accepted:.1f}% accepted, "
        f"{100 * fit.accuracy_of_accepted:.1f}% of these right"
    )
    if fit.unknown_rejected is not None:
        print(f"{100 * fit.unknown_rejected:.1f}% of the {unknown} videos of no class rejected")
