"""What a checkpoint says about its training: its classes, its input, and whether it was a search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.config import leaves, value_at
from pytorchvideo_autox3d.data import ClassNames
from pytorchvideo_autox3d.errors import CheckpointError
from pytorchvideo_autox3d.models import CARD_KEY, ModelCard
from pytorchvideo_autox3d.plain_data import parse_yaml
from pytorchvideo_autox3d.search.result import RETRAIN_NAME

# What decides the values that a network is fed with: clip and normalisation.
INPUT_KEYS = (
    "DATA.NUM_FRAMES", "DATA.SAMPLING_RATE", "DATA.TARGET_FPS", "DATA.TEST_CROP_SIZE", "DATA.MEAN", "DATA.STD",
    "AUTOX3D.MODALITY", "AUTOX3D.FRAME_SAMPLING",
)  # fmt: skip


def classes_of(checkpoint: Mapping[str, Any], path: str) -> ClassNames:
    """The classes of a checkpoint, or else of the run whose folder it lies in; no names where neither has any."""
    card = card_of(checkpoint, path)
    if card is not None:
        return ClassNames.unpadded(card.classes, path)
    return ClassNames.find(str(_run_folder(path)))


def card_of(checkpoint: Mapping[str, Any], path: str) -> ModelCard | None:
    """The card that a checkpoint keeps; None where there is none, as in a search's.

    Raises:
        ModelError: it is damaged; names the file and the key.
    """
    return ModelCard.from_dict(checkpoint[CARD_KEY], source=path) if CARD_KEY in checkpoint else None


def changed_input(checkpoint: Mapping[str, Any], path: str, cfg: CfgNode) -> list[str]:
    """The keys of clip and normalisation whose values differ from those of a checkpoint's training, a line each."""
    trained = dict(leaves(_config(checkpoint, path)))
    here = yaml.safe_load(cfg.dump())
    return [
        f"{key} is {value_at(here, key)!r}, and {trained[key]!r} in the config that {path} was trained with"
        for key in INPUT_KEYS
        if key in trained and trained[key] != value_at(here, key)
    ]


def _config(checkpoint: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The config that a checkpoint keeps, as nested keys; none is fine."""
    text = checkpoint.get("cfg") or "{}"
    try:
        values = parse_yaml(text) if isinstance(text, str) else None
    except yaml.YAMLError as error:
        raise CheckpointError(f"{path}: its cfg is no config: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: its cfg is no config but a {type(values).__name__}")
    return values


def refuse_search_checkpoint(checkpoint: Mapping[str, Any], path: str) -> None:
    """Refuse a checkpoint of a search: it holds a supernet, from which no training can start.

    Raises:
        CheckpointError: it is one; says what to take in its place.
    """
    if "search" not in checkpoint.get("extra_states", {}):
        return
    retrain = _run_folder(path) / RETRAIN_NAME
    advice = f"--cfg {retrain}" if retrain.is_file() else f"the {RETRAIN_NAME} that the search writes when it ends"
    raise CheckpointError(
        f"{path}: is a checkpoint of a search and holds its supernet, not a network: train what the search found "
        f"({advice}), and take the checkpoint of that training"
    )


def _run_folder(path: str) -> Path:
    """The OUTPUT_DIR of the run that a checkpoint is of, by the layout of its folders."""
    return Path(path).parent.parent
