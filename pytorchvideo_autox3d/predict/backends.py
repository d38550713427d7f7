"""A `Recognizer` over a runtime: an exported file, or a network that is exported on the spot."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import ConfigError, ModelError
from pytorchvideo_autox3d.export import export_model, load_exported, read_metadata
from pytorchvideo_autox3d.models import ModelCard
from pytorchvideo_autox3d.predict.loading import kept_calibration
from pytorchvideo_autox3d.predict.recognizer import Recognizer

BACKENDS = ("eager", "onnx", "openvino")


def open_exported(path: str | Path, *, threads: int = 0, **options: Any) -> Recognizer:
    """Open a file that `autox3d export` wrote; its metadata has the classes and the preprocessing.

    A calibration of the file itself, which lies beside it, goes before that of the network that it was made of.

    Args:
        path: the file; its suffix names the format.
        threads: of the runtime; 0 leaves the number to it.
        options: as of `Recognizer`; it runs on the CPU.
    Raises:
        ExportError: there is no such file, or its runtime is not installed; names the extra.
        ModelError: the file says nothing of classes and clips, takes others than its network was trained on, or the
            calibration is of another file.
    """
    run = load_exported(path, threads=threads)
    metadata = read_metadata(path)
    if not metadata.get("model_card"):
        raise ModelError(f"{path}: says nothing of its classes and clips: export it from a checkpoint or a package")
    card = ModelCard.from_dict(json.loads(metadata["model_card"]), source=str(path))
    card = replace(card, calibration=kept_calibration(str(path)) or card.calibration)
    clips, _, *sizes = map(int, json.loads(metadata["clip"]))
    if tuple(sizes) != card.preprocessing.clip:
        taken, made = ("x".join(map(str, clip)) for clip in (sizes, card.preprocessing.clip))
        raise ModelError(f"{path}: takes clips of {taken}, its network was trained on {made}: export it without --clip")
    return Recognizer(in_parts(run, clips), card, **{**options, "device": "cpu"})


def on_backend(recognizer: Recognizer, backend: str, *, threads: int = 0, **options: Any) -> Recognizer:
    """Run a recognizer's network on another runtime: export it to a temporary file, compare it with eager, and load it.

    Args:
        recognizer: whose network and card are taken.
        backend: one of `BACKENDS`; "eager" gives the recognizer itself.
        threads: of the runtime; 0 leaves the number to it.
        options: as of `Recognizer`; it runs on the CPU.
    Raises:
        ConfigError: there is no such backend, or the network is exported already.
        ExportError: it can't be exported (names the operator), or the runtime is not installed (names the extra).
    """
    if backend not in BACKENDS:
        raise ConfigError(f"backend: {backend!r} is none of {', '.join(BACKENDS)}")
    if backend == "eager":
        return recognizer
    network, card = recognizer.network, recognizer.card
    if not isinstance(network, nn.Module):
        raise ConfigError(f"backend {backend}: the network is exported already")
    with tempfile.TemporaryDirectory() as folder:
        clip = torch.zeros(1, len(card.preprocessing.mean), *card.preprocessing.clip)
        report = export_model(
            network.cpu(), Path(folder, "network"), format=backend, clip=clip, dynamic_batch=True, card=card
        )
        return Recognizer(load_exported(report.path, threads=threads), card, **{**options, "device": "cpu"})


def in_parts(function: Callable[[Tensor], Tensor], clips: int) -> Callable[[Tensor], Tensor]:
    """Make a function of exactly `clips` clips one of any number.

    The clips are taken in parts; the last part is filled up by repeating its last clip.
    """

    def run(clip_BCTHW: Tensor) -> Tensor:
        parts = []
        for part in clip_BCTHW.split(clips):
            filled = torch.cat([part, part[-1:].expand(clips - len(part), *part.shape[1:])])
            parts.append(function(filled)[: len(part)])
        return torch.cat(parts)

    return run
