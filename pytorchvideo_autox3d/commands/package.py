"""`autox3d package --model CKPT --output FOLDER`: a trained network as a folder that can be given away."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytorchvideo_autox3d.commands.model_arguments import add_model, recognizer_of
from pytorchvideo_autox3d.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the folder, what is said of it, and what is measured."""
    add_model(parser)
    parser.add_argument("--output", type=Path, required=True, help="the package's folder")
    parser.add_argument("--name", default=None, help="a short name; default: the folder's")
    parser.add_argument("--description", default="", help="one sentence: what was trained on what")
    parser.add_argument("--license", default="Apache-2.0", help="of the weights, as SPDX spells it")
    parser.add_argument("--test", default=None, metavar="LIST", help="measure the accuracy on these labelled videos")
    parser.add_argument("--prefix", default="", help="joined before the list's relative paths")


def run(args: argparse.Namespace) -> None:
    """Measure and write."""
    from torch import nn

    from pytorchvideo_autox3d.models import Release, write_package
    from pytorchvideo_autox3d.models.package import check_package_folder
    from pytorchvideo_autox3d.predict.measure import accuracy, cost, read_labelled

    check_package_folder(args.output)  # before anything is measured
    recognizer = recognizer_of(args)
    network = recognizer.network
    if not isinstance(network, nn.Module):
        raise ConfigError(f"--model {args.model}: is exported already: name the checkpoint")
    manifest = read_labelled(recognizer, args.test, prefix=args.prefix) if args.test else None
    measured = {**(accuracy(recognizer, manifest) if manifest else {}), **cost(recognizer)}
    name = args.name or args.output.resolve().name
    release = Release(name, args.description, args.license, measured)
    folder = write_package(args.output, network, recognizer.card, release)
    for key, value in measured.items():
        print(f"{key.replace('_', ' ')}: {value}")
    print(f"written: {folder}")
