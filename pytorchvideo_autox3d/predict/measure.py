"""Measures what a package's card says: accuracy on a list, cost, and latency with the machine's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from pytorchvideo_autox3d.analysis import count_module, describe_machine, measure_latency
from pytorchvideo_autox3d.data import ClassNames, Manifest, read_list
from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.evaluation import topk_accuracy
from pytorchvideo_autox3d.predict.recognizer import Recognizer

_REPEATS = 20


def read_labelled(recognizer: Recognizer, path: str, *, prefix: str = "") -> Manifest:
    """Read a list whose labels are the recognizer's classes, by number or by name.

    Args:
        recognizer: whose classes they are.
        path: the list.
        prefix: joined before its relative paths.
    Raises:
        DataError: it has no labels, or others.
    """
    card = recognizer.card
    manifest = read_list(
        path, path_prefix=prefix, num_classes=card.num_classes, classes=ClassNames(card.classes, "the model")
    )
    if not manifest.labelled:
        raise DataError(f"{path}: has no labels to measure with")
    return manifest


def accuracy(recognizer: Recognizer, manifest: Manifest) -> dict[str, Any]:
    """Top-1 and top-5 accuracy in percent over all videos of a list, and what they were measured on.

    Args:
        recognizer: what is measured.
        manifest: a list with labels.
    Raises:
        DecodeError: a video can't be read.
    """
    score_NK = np.stack([one.score_K for one in recognizer.predict(manifest.paths)])
    return {
        "top1_acc": round(topk_accuracy(score_NK, manifest.labels, 1), 2),
        "top5_acc": round(topk_accuracy(score_NK, manifest.labels, 5), 2),
        "videos": len(manifest),
        "views": str(recognizer.views),
        "list_hash": manifest.digest(),
    }


def cost(recognizer: Recognizer) -> dict[str, Any]:
    """Multiply-adds of one clip, parameters, and the median milliseconds of one clip with the machine's name."""
    network, clip = recognizer.network, recognizer.card.preprocessing.clip
    assert isinstance(network, nn.Module)
    channels = len(recognizer.card.preprocessing.mean)
    clip_BCTHW = torch.zeros(1, channels, *clip, device=recognizer.device).contiguous(
        memory_format=torch.channels_last_3d
    )
    with torch.inference_mode():
        counted = count_module(network, clip, in_channels=channels)
        device = recognizer.device.type
        runs = {"clip": lambda: recognizer.forward(clip_BCTHW)}
        latency = measure_latency(runs, repeats=_REPEATS, device=device)["clip"]
    return {
        "multiply_adds": counted.macs,
        "parameters": counted.params,
        "latency_ms": round(latency.median, 2),
        "machine": ", ".join(_machine(device)),
    }


def _machine(device: str) -> Iterator[str]:
    found = describe_machine()
    yield found["processor"] if device == "cpu" else found["accelerator"]
    yield f"{found['cores']} cores, {found['torch threads']} torch threads"
    yield f"torch {found['torch']}"
