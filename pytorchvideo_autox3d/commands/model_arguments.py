"""The arguments that name a trained model, and the `Recognizer` that they stand for."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from pytorchvideo_autox3d.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from pytorchvideo_autox3d.predict import Recognizer


EXPORTED = (".onnx", ".xml", ".pt2", ".pte", ".tflite", ".mlpackage")
"""What exported files end in."""


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add --model, what old checkpoints need beside it, views, device and batch."""
    parser.add_argument(
        "--model", required=True, metavar="CKPT|PACKAGE|NAME",
        help="a checkpoint, a package's folder, the name of a package that comes with this library (demo), or a file "
        "that autox3d export wrote",
    )  # fmt: skip
    parser.add_argument("--cfg", default=None, help="the config of a checkpoint that does not say its own")
    parser.add_argument(
        "--classes", default=None, help="the classes' names of an old checkpoint: classes.json, or a name on every line"
    )
    parser.add_argument("--views", default=None, help="clips x crops of a video: 1, 3x1, 10x3; default: the model's")
    parser.add_argument("--device", default=None, help="cpu or cuda; default: cuda where there is one")
    parser.add_argument("--batch-size", type=int, default=8, help="clips of one forward pass")
    parser.add_argument("--workers", type=int, default=2, help="threads that decode; 0: none but this one")


def recognizer_of(args: argparse.Namespace, **options: Any) -> Recognizer:
    """The model that the arguments of `add_model` name.

    Args:
        args: the parsed arguments.
        options: further arguments of `Recognizer`.

    Raises:
        ConfigError: arguments that don't go together.
        AutoX3DError: the model can't be read or built.
    """
    options |= {
        "views": args.views, "device": args.device, "batch_size": args.batch_size, "workers": args.workers,
    }  # fmt: skip
    backend = getattr(args, "backend", "eager")
    names_checkpoint(args)
    if args.model.endswith(EXPORTED):
        from pytorchvideo_autox3d.predict.backends import open_exported

        if backend != "eager":
            raise ConfigError(f"--backend {backend}: {args.model} is exported already, and runs as what it is")
        return open_exported(args.model, **options)
    recognizer = _eager(args, options)
    if backend == "eager":
        return recognizer
    from pytorchvideo_autox3d.predict.backends import on_backend

    return on_backend(recognizer, backend, **options)


def names_checkpoint(args: argparse.Namespace) -> bool:
    """Whether --model is a checkpoint.

    Raises:
        ConfigError: it is not, and --cfg or --classes is given, which are for checkpoints alone.
    """
    model = args.model
    if model.endswith((".pyth", ".pt", ".pth")) or (os.path.isfile(model) and not model.endswith(EXPORTED)):
        return True
    for key in ("cfg", "classes"):
        if getattr(args, key):
            raise ConfigError(f"--{key} is for a checkpoint that does not say its own, and {model} is none")
    return False


def _eager(args: argparse.Namespace, options: dict[str, Any]) -> Recognizer:
    from pytorchvideo_autox3d.models.hub import HUB
    from pytorchvideo_autox3d.predict import Recognizer

    if names_checkpoint(args):
        return Recognizer.from_checkpoint(args.model, cfg=args.cfg, classes=args.classes, **options)
    if args.model in HUB:
        raise ModelError(f"--model {args.model}: no weights of it are published: name a checkpoint")
    return Recognizer.from_package(args.model, **options)
