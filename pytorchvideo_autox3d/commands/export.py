"""`autox3d export --model M --format F`: a network as a file for a runtime, run there and compared with eager."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytorchvideo_autox3d.commands.arguments import check_at_least, clip_of
from pytorchvideo_autox3d.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch import Tensor

    from pytorchvideo_autox3d.models import ClipNet, ModelCard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The network, the format, the clip, and what to compare on."""
    parser.add_argument(
        "--model", required=True, metavar="CKPT|PACKAGE|NAME",
        help="a checkpoint, a package's folder, a package that comes with this library (demo), or a name of the hub "
        "(autox3d_s, x3d_s, ...), which has fresh weights",
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
    parser.add_argument("--threads", type=int, default=None, help="of the runtime; default: torch's number")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the report as JSON too")


def run(args: argparse.Namespace) -> None:
    """Export, and print the report."""
    check_at_least(args, 1, "batch", *(["threads"] if args.threads is not None else []))
    size = clip_of(args.clip) if args.clip else None

    from pytorchvideo_autox3d.export import export_model
    from pytorchvideo_autox3d.export.lowering import example_clip
    from pytorchvideo_autox3d.export.targets import target_of
    from pytorchvideo_autox3d.files import write_json

    # What can be known to fail does so before a network is built.
    _ = target_of(args.format).module
    network, card = model_of(args)
    size = size or (network.input_clip_length, network.input_crop_size, network.input_crop_size)
    report = export_model(
        network.eval(), args.output, format=args.format, clip=example_clip((args.batch, network.in_channels, *size)),
        lower=args.lower, dynamic_batch=args.dynamic_batch, card=card, threads=args.threads,
        real_clips=_clips_of(args.videos, card, args.batch, size),
    )  # fmt: skip
    print(report)
    if args.json:
        write_json(args.json, report.to_dict())


def model_of(args: argparse.Namespace) -> tuple[ClipNet, ModelCard | None]:
    """The network that --model names, with its card; a name of the hub has none, and fresh weights."""
    from pytorchvideo_autox3d.models import load_package
    from pytorchvideo_autox3d.models.hub import HUB
    from pytorchvideo_autox3d.predict.loading import load_checkpoint

    if os.path.isfile(args.model) or args.model.endswith((".pyth", ".pt", ".pth")):
        return load_checkpoint(args.model, cfg=args.cfg, classes=args.classes)
    if args.model in HUB:
        return HUB[args.model].build(), None
    network = load_package(args.model)
    return network, network.card


def _clips_of(videos: list[str], card: ModelCard | None, batch: int, size: tuple[int, int, int]) -> list[Tensor]:
    """The middle clip of each video, normalised, `batch` of the same."""
    if not videos:
        return []
    if card is None:
        raise ConfigError(
            "--videos: a name of the hub does not say how its clips are made: name a checkpoint or package"
        )
    if card.preprocessing.clip != size:
        raise ConfigError(f"--videos: they give clips {card.preprocessing.clip}, --clip asks for {size}")
    from pytorchvideo_autox3d.data import ClipNormalize, open_video
    from pytorchvideo_autox3d.predict import Views, read_clips

    normalize = ClipNormalize(card.preprocessing.mean, card.preprocessing.std)
    clips = []
    for path in videos:
        if not os.path.exists(path):
            raise DataError(f"--videos: {path}: no such file")
        with open_video(path) as video:
            clip_VCTHW = read_clips(video, card.preprocessing, Views(1, 1)).clip_VCTHW
        clips.append(normalize(clip_VCTHW).repeat(batch, 1, 1, 1, 1))
    return clips
