"""`autox3d export --model M --format F`: a network as a file for a runtime, run there and compared with eager."""

from __future__ import annotations

import argparse
import os
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorchvideo_autox3d.commands.arguments import check_at_least, clip_of
from pytorchvideo_autox3d.commands.model_arguments import EXPORTED, names_checkpoint
from pytorchvideo_autox3d.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch import Tensor

    from pytorchvideo_autox3d.export import ExportReport
    from pytorchvideo_autox3d.models import ClipNet, ModelCard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The network, the format, the clip, and what to compare on."""
    parser.add_argument(
        "--model", required=True, metavar="CKPT|PACKAGE|NAME",
        help="a checkpoint, a package's folder, a package that comes with this library (demo), or a name of the hub "
        "(autox3d_s, x3d_s, ...) or of a model (Slow, C2D, ...), which has fresh weights",
    )  # fmt: skip
    parser.add_argument("--cfg", default=None, help="the config of a checkpoint that does not say its own")
    parser.add_argument("--classes", default=None, help="the classes' names of an old checkpoint: a file")
    parser.add_argument("--format", required=True, help="onnx, openvino, torch_export, executorch, litert or coreml")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="what to write")
    parser.add_argument("--lower", choices=("4d",), default=None, help="no tensor of five dimensions, no Conv3d")
    parser.add_argument("--clip", default=None, metavar="TxS", help="frames x crop; default: the model's own")
    parser.add_argument("--batch", type=int, default=1, help="clips that the file takes at once")
    parser.add_argument("--dynamic-batch", action="store_true", help="any number of clips at once")
    parser.add_argument(
        "--videos",
        nargs="+",
        default=[],
        metavar="VIDEO",
        help="compare on clips of these too, not on random ones alone",
    )
    parser.add_argument(
        "--int8", default=None, metavar="LIST", help="quantise to 8 bits, calibrated on videos of this list or folder"
    )
    parser.add_argument("--calibration-clips", type=int, default=64, help="how many of them, one clip each")
    parser.add_argument(
        "--test", default=None, metavar="LIST", help="measure the accuracy before and after on these labelled videos"
    )
    parser.add_argument("--prefix", default="", help="joined before the lists' relative paths")
    parser.add_argument("--threads", type=int, default=None, help="of the runtime; default: torch's number")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the report as JSON too")


def run(args: argparse.Namespace) -> None:
    """Export, measure what was asked for, and print the report."""
    check_at_least(args, 1, "batch", "calibration_clips", *(["threads"] if args.threads is not None else []))
    size = clip_of(args.clip) if args.clip else None
    if args.test and args.batch > 1 and not args.dynamic_batch:
        raise ConfigError(f"--test takes one clip at a time: give --dynamic-batch, or not --batch {args.batch}")

    from pytorchvideo_autox3d.export import export_model
    from pytorchvideo_autox3d.export.lowering import example_clip
    from pytorchvideo_autox3d.export.targets import target_of
    from pytorchvideo_autox3d.files import write_json

    # What can be known to fail does so before a network is built.
    _ = target_of(args.format).module
    network, card = model_of(args)
    size = size or (network.input_clip_length, network.input_crop_size, network.input_crop_size)
    if args.test:
        _check_test(args, card)
    calibrating = _listed(args.int8, args.prefix)[: args.calibration_clips] if args.int8 else []
    report = export_model(
        network.eval(), args.output, format=args.format, clip=example_clip((args.batch, network.in_channels, *size)),
        lower=args.lower, dynamic_batch=args.dynamic_batch, card=card, threads=args.threads,
        real_clips=_clips_of(args.videos, card, args.batch, size),
        calibration=_clips_of(calibrating, card, args.batch, size),
    )  # fmt: skip
    print(report)
    accuracy = _accuracy(args, network, card, report) if args.test else {}
    if args.json:
        write_json(args.json, {**report.to_dict(), **accuracy})


def _listed(path: str, prefix: str) -> list[str]:
    """The videos of a list, evenly spread: lists are often sorted by class."""
    from pytorchvideo_autox3d.data import read_list

    paths = list(read_list(path, path_prefix=prefix).paths)
    stride = next(step for step in range(len(paths) * 5 // 8 + 1, 2 * len(paths) + 2) if gcd(step, len(paths)) == 1)
    return [paths[number * stride % len(paths)] for number in range(len(paths))]


def _check_test(args: argparse.Namespace, card: ModelCard | None) -> None:
    """Check the labelled list before the network is exported.

    Raises:
        ConfigError: the network has fresh weights, so that there is nothing to measure.
        DataError: the list can't be read, or has other classes than the network.
    """
    from pytorchvideo_autox3d.predict import Recognizer
    from pytorchvideo_autox3d.predict.measure import read_labelled

    if card is None:
        raise ConfigError(f"--test: {args.model} has fresh weights: name a checkpoint or package")
    read_labelled(Recognizer(lambda clip: clip, card, device="cpu"), args.test, prefix=args.prefix)


def _accuracy(
    args: argparse.Namespace, network: ClipNet, card: ModelCard | None, report: ExportReport
) -> dict[str, Any]:
    """Top-1 of eager and of the file over the labelled list, by the middle clip of each video."""
    import torch

    from pytorchvideo_autox3d.export import load_exported
    from pytorchvideo_autox3d.predict import Recognizer
    from pytorchvideo_autox3d.predict.measure import accuracy, read_labelled

    assert card is not None
    run = load_exported(report.path, threads=report.threads)

    def one_by_one(clips: Tensor) -> Tensor:
        return torch.cat([run(clip[None]) for clip in clips])

    before, after = (
        accuracy(one, read_labelled(one, args.test, prefix=args.prefix))
        for one in (Recognizer(each, card, views="1", device="cpu") for each in (network, one_by_one))
    )
    lost = before["top1_acc"] - after["top1_acc"]
    print(
        f"top-1 of {before['videos']} videos, one clip each: {before['top1_acc']:.2f}% before, "
        f"{after['top1_acc']:.2f}% after ({lost:+.2f} points lost)"
    )
    return {"before": before, "after": after}


def model_of(args: argparse.Namespace) -> tuple[ClipNet, ModelCard | None]:
    """The network that --model names, with its card; a hub's or model's name gives fresh weights and no card."""
    from pytorchvideo_autox3d.models import load_package
    from pytorchvideo_autox3d.models.hub import HUB
    from pytorchvideo_autox3d.predict.loading import load_checkpoint
    from pytorchvideo_autox3d.registry import MODEL_REGISTRY

    if args.model.endswith(EXPORTED):
        raise ConfigError(f"--model {args.model}: is exported already: name the checkpoint or the package")
    if names_checkpoint(args):
        return load_checkpoint(args.model, cfg=args.cfg, classes=args.classes)
    if args.model in HUB:
        return HUB[args.model].build(), None
    if args.model in MODEL_REGISTRY and not os.path.exists(args.model):
        return MODEL_REGISTRY.get(args.model, key="--model")(), None
    network = load_package(args.model)
    return network, network.card


def _clips_of(videos: list[str], card: ModelCard | None, batch: int, size: tuple[int, int, int]) -> list[Tensor]:
    """The middle clip of each video, normalised, `batch` of the same."""
    if not videos:
        return []
    if card is None:
        raise ConfigError(
            "--videos, --int8: a network with fresh weights does not say how its clips are made: name a checkpoint or "
            "package"
        )
    if card.preprocessing.clip != size:
        raise ConfigError(f"--videos, --int8: they give clips {card.preprocessing.clip}, --clip asks for {size}")
    from pytorchvideo_autox3d.data import ClipNormalize, open_video
    from pytorchvideo_autox3d.predict import Views, read_clips

    normalize = ClipNormalize(card.preprocessing.mean, card.preprocessing.std)
    clips = []
    for path in videos:
        if not os.path.exists(path):
            raise DataError(f"{path}: no such file")
        with open_video(path) as video:
            clip_VCTHW = read_clips(video, card.preprocessing, Views(1, 1)).clip_VCTHW
        clips.append(normalize(clip_VCTHW).repeat(batch, 1, 1, 1, 1))
    return clips
