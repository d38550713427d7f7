"""What can be known to fail before a job starts: so that days of training don't end in a typing error of the test.

Nothing is written and no video is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d import build, search_job
from pytorchvideo_autox3d.engine import last_checkpoint, read_checkpoint
from pytorchvideo_autox3d.errors import CheckpointError, ConfigError
from pytorchvideo_autox3d.run_record import CONFIG_NAME

# What decides which weights a network has.
MODEL_KEYS = (
    "MODEL.MODEL_NAME", "MODEL.NUM_CLASSES", "AUTOX3D.ARCHITECTURE", "AUTOX3D.GROUPS", "AUTOX3D.SPACE",
    "AUTOX3D.DEPTH_FACTOR", "AUTOX3D.STEM", "X3D.WIDTH_FACTOR", "X3D.DEPTH_FACTOR", "X3D.BOTTLENECK_FACTOR",
)  # fmt: skip


def check(cfg: CfgNode) -> None:
    """Raise the error that a job of this config would end in, as far as config, lists and checkpoints tell."""
    if not (cfg.SEARCH.ENABLE or cfg.TRAIN.ENABLE or cfg.TEST.ENABLE):
        raise ConfigError("nothing to do: SEARCH.ENABLE, TRAIN.ENABLE and TEST.ENABLE are all False")
    if cfg.SEARCH.ENABLE:
        search_job.check(cfg)
        return
    with torch.device("meta"):
        model = build.build_model(cfg)
    if cfg.TRAIN.ENABLE:
        build.build_sgd(cfg, model)
        build.build_schedule(cfg)
        build.build_loss(cfg)
        build.build_mix(cfg)
        build.build_train_settings(cfg)
    modes = [*(["train"] if cfg.TRAIN.ENABLE else []), *(["test"] if cfg.TEST.ENABLE else [])]
    if cfg.TRAIN.ENABLE and cfg.TRAIN.EVAL_PERIOD > 0:
        modes.insert(1, "val")
    for mode in modes:
        build.build_fault_policy(cfg, mode, num_videos=1)
        build.build_dataset(cfg, mode)
    if cfg.TEST.ENABLE:
        build.build_test_settings(cfg, views_a_pass=1)
    if cfg.TRAIN.ENABLE:
        _check_output_is_of_this_model(cfg)
    else:
        read_checkpoint(checkpoint_to_test(cfg))


def checkpoint_to_test(cfg: CfgNode) -> str:
    """TEST.CHECKPOINT_FILE_PATH, else the last of OUTPUT_DIR, else TRAIN.CHECKPOINT_FILE_PATH."""
    found = cfg.TEST.CHECKPOINT_FILE_PATH or last_checkpoint(cfg.OUTPUT_DIR) or cfg.TRAIN.CHECKPOINT_FILE_PATH
    if not found:
        raise CheckpointError(
            f"nothing to test: TEST.CHECKPOINT_FILE_PATH is empty and {cfg.OUTPUT_DIR} has no checkpoint"
        )
    return found


def _check_output_is_of_this_model(cfg: CfgNode) -> None:
    """A run that would be resumed must be of the same network."""
    path = Path(cfg.OUTPUT_DIR, CONFIG_NAME)
    if not (cfg.TRAIN.AUTO_RESUME and last_checkpoint(cfg.OUTPUT_DIR) and path.is_file()):
        return
    there = yaml.safe_load(path.read_text(encoding="utf8"))
    here = yaml.safe_load(cfg.dump())
    for key in MODEL_KEYS:
        old, new = _value(there, key), _value(here, key)
        if old != new:
            raise ConfigError(
                f"OUTPUT_DIR: {cfg.OUTPUT_DIR} holds a run with {key} {old!r}, not {new!r}: name another folder"
            )


def _value(values: Any, key: str) -> Any:
    node, leaf = key.split(".")
    return (values.get(node) or {}).get(leaf)
