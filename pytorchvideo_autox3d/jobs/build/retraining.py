"""SEARCH.RETRAIN_CFG of a config -> the config that trains what the search finds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import yaml
from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.config import changed_keys, config_path, load_cfg, value_at
from pytorchvideo_autox3d.errors import ConfigError, NoListError
from pytorchvideo_autox3d.jobs.build.data import build_dataset

# What the recipe has no say in: the data, the clip and the parts of the network that the budgets were met with, and
# the machine that the search ran on.
_KEPT = (
    "DATA.PATH_TO_DATA_DIR", "DATA.PATH_PREFIX", "DATA.NUM_FRAMES", "DATA.SAMPLING_RATE", "DATA.TARGET_FPS",
    "DATA.TRAIN_CROP_SIZE", "DATA.TRAIN_JITTER_SCALES", "DATA.TEST_CROP_SIZE", "DATA.MEAN", "DATA.STD",
    "DATA.RANDOM_FLIP", "DATA.ENSEMBLE_METHOD", "TRAIN.DATASET", "TRAIN.BATCH_SIZE", "TEST.DATASET", "TEST.BATCH_SIZE",
    "TEST.NUM_ENSEMBLE_VIEWS", "TEST.NUM_SPATIAL_CROPS", "MODEL.NUM_CLASSES", "AUTOX3D.STEM", "AUTOX3D.SE_RATIO",
    "AUTOX3D.DEPTH_FACTOR", "GLORE.NODE_RATIO", "AUTOX3D.READER", "AUTOX3D.DATA_SPLIT", "AUTOX3D.DECODE_SECONDS",
    "AUTOX3D.DECODED_DIR",
    "AUTOX3D.BAD_VIDEO_TRAIN", "AUTOX3D.BAD_VIDEO_TEST", "AUTOX3D.BAD_VIDEO_LIMIT", "AUTOX3D.DEPTHWISE_KERNELS",
    "AUTOX3D.BATCH_NORM_KERNELS", "AUTOX3D.RECOMPUTE_ACTIVATIONS", "AUTOX3D.FRAME_SAMPLING", "AUTOX3D.MODALITY",
    "AUTOX3D.IMPORTS",
    "DATA_LOADER.NUM_WORKERS", "DATA_LOADER.PIN_MEMORY", "NUM_GPUS",
)  # fmt: skip
_RATES = ("SOLVER.BASE_LR", "SOLVER.WARMUP_START_LR", "SOLVER.COSINE_END_LR")
# What a list that is not there leaves out.
_LISTS = (("val", "TRAIN.EVAL_PERIOD", 0), ("test", "TEST.ENABLE", False))
# Differences that are none: what is trained, and where; and what other networks read.
_EXPECTED = (
    "SEARCH.", "OUTPUT_DIR", "MODEL.MODEL_NAME", "AUTOX3D.GROUPS", "AUTOX3D.SPACE", "AUTOX3D.ARCHITECTURE", "X3D.",
    "RESNET.", "SLOWFAST.",
)  # fmt: skip


def retrain_config(cfg: CfgNode) -> dict[str, Any]:
    """The recipe of SEARCH.RETRAIN_CFG with this search's data, clip and machine, as nested keys.

    The recipe's learning rates are for its own TRAIN.BATCH_SIZE and are scaled to the search's. Where there is no list
    for validation or for the test, these are switched off, so that the config runs as it is.


    Raises:
        ConfigError: there is no such recipe, or it does not go with the search's data.
        DataError: a list is malformed.
    """
    recipe = _recipe(cfg)
    config = recipe.clone()
    config.defrost()
    config.SEARCH.ENABLE = False
    for key in _scaled_rates(recipe):
        _set(config, key, value_at(recipe, key) * cfg.TRAIN.BATCH_SIZE / recipe.TRAIN.BATCH_SIZE)
    for key in _KEPT:
        _set(config, key, value_at(cfg, key))
    for mode, key, off in _LISTS:
        if config.DATA.PATH_TO_DATA_DIR and value_at(config, key):
            try:
                build_dataset(config, mode)
            except NoListError:
                _set(config, key, off)
    config.OUTPUT_DIR = os.path.join(cfg.OUTPUT_DIR, "retrain")
    values: dict[str, Any] = yaml.safe_load(config.dump())
    return values


def retrain_changes(cfg: CfgNode, retraining: Mapping[str, Any]) -> list[str]:
    """The keys whose values in the training of the result differ from the search's, a line each.

    Args:
        cfg: of the search.
        retraining: what `retrain_config` gave.
    """
    recipe = _recipe(cfg)
    ours, theirs = cfg.TRAIN.BATCH_SIZE, recipe.TRAIN.BATCH_SIZE
    changes = []
    for key, before, after in changed_keys(yaml.safe_load(cfg.dump()), retraining):
        if not key.startswith(_EXPECTED):
            scaled = key in _scaled_rates(recipe) and ours != theirs
            why = f" ({value_at(recipe, key):g} for the recipe's batch of {theirs}, scaled to {ours})" if scaled else ""
            changes.append(f"{key} {before!r} -> {after!r}{why}")
    return changes


def _scaled_rates(recipe: CfgNode) -> tuple[str, ...]:
    """The keys of rates to scale: none where AUTOX3D.BASE_BATCH_SIZE does it; a warm-up's only if there is one."""
    if recipe.AUTOX3D.BASE_BATCH_SIZE:
        return ()
    return tuple(key for key in _RATES if recipe.SOLVER.WARMUP_EPOCHS or key != "SOLVER.WARMUP_START_LR")


def _recipe(cfg: CfgNode) -> CfgNode:
    name = cfg.SEARCH.RETRAIN_CFG
    try:
        return load_cfg(name if os.path.isfile(name) else config_path(name)) if name else cfg
    except ConfigError as error:
        raise ConfigError(f"SEARCH.RETRAIN_CFG: {error}") from None


def _set(cfg: CfgNode, key: str, value: Any) -> None:
    node, _, leaf = key.rpartition(".")
    (value_at(cfg, node) if node else cfg)[leaf] = value
