"""Checks that the run in an OUTPUT_DIR is of the network that a config asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from fvcore.common.config import CfgNode
from torch import nn

from pytorchvideo_autox3d.config import changed_keys
from pytorchvideo_autox3d.engine import last_checkpoint, read_checkpoint
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.jobs import build
from pytorchvideo_autox3d.jobs.run_record import recorded_config
from pytorchvideo_autox3d.jobs.trained import card_of
from pytorchvideo_autox3d.models import ModelCard

# What a network's builder takes that decides nothing of its weights or of what they mean.
_FREE_ARGUMENTS = ("dropout_rate", "input_clip_length", "input_crop_size")
_FREE_KEYS = ("MODEL.ARCH", "MODEL.DROPOUT_RATE", "MODEL.LOSS_FUNC", "MODEL.ACT_CHECKPOINT")
# Where a network is described, what is told first.
_NETWORK_NODES = ("MODEL.", "AUTOX3D.", "GLORE.", "X3D.", "RESNET.", "SLOWFAST.")


def check_resumes_same_network(cfg: CfgNode, model: nn.Module) -> None:
    """Compare the last checkpoint of OUTPUT_DIR, if training would go on from it, with the network of the config.

    Args:
        cfg: the whole config.
        model: its network, on any device, "meta" too.

    Raises:
        ConfigError: the checkpoint is of another network; names what differs.
    """
    last = last_checkpoint(cfg.OUTPUT_DIR) if cfg.TRAIN.AUTO_RESUME else None
    if last is None:
        return
    checkpoint = read_checkpoint(last)
    difference = _other_weights(checkpoint, model) or _other_arguments(card_of(checkpoint, last), cfg)
    if difference:
        where = _changed_network_key(cfg) or difference
        raise ConfigError(f"OUTPUT_DIR: {cfg.OUTPUT_DIR} holds a run with {where}: name another folder")


def _other_weights(checkpoint: Mapping[str, Any], model: nn.Module) -> str | None:
    """The first tensor that only one of them has, or that has another shape."""
    saved = {key: tuple(value.shape) for key, value in checkpoint.get("model_state", {}).items()}
    own = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    for key in dict.fromkeys([*own, *saved]):
        if saved.get(key) != own.get(key):
            return f"{key} of shape {saved.get(key, 'none')}, not {own.get(key, 'none')}"
    return None


def _other_arguments(card: ModelCard | None, cfg: CfgNode) -> str | None:
    """The first argument of the network's builder that differs: weights of one shape can mean two networks."""
    if card is None:
        return None
    here = build.build_card(cfg)
    if card.model != here.model:
        return f"MODEL.MODEL_NAME {card.model!r}, not {here.model!r}"
    for key, value in here.arguments.items():
        if key not in _FREE_ARGUMENTS and key in card.arguments and card.arguments[key] != value:
            return f"another {key}"
    return None


def _changed_network_key(cfg: CfgNode) -> str | None:
    """The key of the config that was changed, as the config kept beside the run tells."""
    there = recorded_config(cfg.OUTPUT_DIR)
    if there is None:
        return None
    changes = list(changed_keys(there, yaml.safe_load(cfg.dump())))
    for node in _NETWORK_NODES:
        for key, old, new in changes:
            if key.startswith(node) and key not in _FREE_KEYS:
                return f"{key} {old!r}, not {new!r}"
    return None
