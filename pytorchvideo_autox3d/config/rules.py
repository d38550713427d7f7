"""Checks of a config's values, made once, before a file is written or a video opened.

Each error names the key as the user wrote it; the parts' own checks can only name their arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.config.keys import value_at
from pytorchvideo_autox3d.errors import ConfigError

AT_LEAST_ONE = (
    "TRAIN.BATCH_SIZE", "TRAIN.CHECKPOINT_PERIOD", "TEST.BATCH_SIZE", "TEST.NUM_ENSEMBLE_VIEWS", "DATA.NUM_FRAMES",
    "DATA.SAMPLING_RATE", "DATA.TRAIN_CROP_SIZE", "DATA.TEST_CROP_SIZE", "MODEL.NUM_CLASSES", "SOLVER.MAX_EPOCH",
    "AUTOX3D.GRAD_ACCUMULATION", "LOG_PERIOD", "NUM_SHARDS", "SEARCH.BEST_OF", "SEARCH.BN_BATCHES",
    "SEARCH.EVOLUTION_NETWORKS", "SEARCH.EVOLUTION_POPULATION", "BN.NUM_SPLITS", "BN.NUM_SYNC_DEVICES",
    "AUTOX3D.CHECKPOINTS_KEPT",
)  # fmt: skip
NOT_NEGATIVE = (
    "TRAIN.EVAL_PERIOD", "DATA_LOADER.NUM_WORKERS", "NUM_GPUS", "SHARD_ID", "RNG_SEED", "SOLVER.WEIGHT_DECAY",
    "BN.WEIGHT_DECAY", "SOLVER.WARMUP_EPOCHS", "SEARCH.COST_WEIGHT", "SEARCH.PARAMS_WEIGHT",
    "SEARCH.POLICY_WEIGHT_DECAY", "SEARCH.LATENCY_THREADS", "AUTOX3D.DECODE_SECONDS", "AUTOX3D.CHECKPOINT_MINUTES",
    "AUTOX3D.EPOCHS_KEPT", "AUTOX3D.LOADER_SECONDS", "AUTOX3D.BASE_BATCH_SIZE",
)  # fmt: skip
ABOVE_ZERO = ("SOLVER.BASE_LR", "DATA.TARGET_FPS")
UNSET_OR_ABOVE_ZERO = ("SOLVER.CLIP_GRAD_L2NORM", "SOLVER.CLIP_GRAD_VAL")
# The channels of a clip, by AUTOX3D.MODALITY.
CHANNELS = {"rgb": 3, "flow": 2, "rgb+flow": 5}
CHOICES: dict[str, tuple[Any, ...]] = {
    "TEST.NUM_SPATIAL_CROPS": (1, 3),
    "DATA.ENSEMBLE_METHOD": ("sum", "max"),
    "BN.NORM_TYPE": ("batchnorm", "sub_batchnorm", "sync_batchnorm"),
    "AUTOX3D.FRAME_SAMPLING": ("", "clip", "segments"),
    "AUTOX3D.MODALITY": tuple(CHANNELS),
    "DIST_BACKEND": ("nccl", "gloo"),
    "AUTOX3D.STEM": ("", "table2", "x3d"),
    "SEARCH.DERIVE": ("most_likely", "within_budgets", "best_of", "evolution"),
    "SEARCH.EVOLUTION_ALGORITHM": ("regularised", "nsga2"),
    "SEARCH.RANK_BY": ("accuracy", "loss"),
    "SEARCH.COST_TERM": ("hinge", "lagrangian"),
    "SEARCH.LATENCY_BACKEND": ("", "eager", "onnx", "openvino", "executorch"),
}

# The keys of one budget each, with their defaults; SEARCH.BUDGETS stands for all of them.
SINGLE_BUDGETS = {
    "SEARCH.TARGET_GFLOPS": 2.0, "SEARCH.TARGET_PARAMS_M": 0.0, "SEARCH.COST_WEIGHT": 1.0, "SEARCH.PARAMS_WEIGHT": 1.0,
}  # fmt: skip


def check_values(cfg: CfgNode) -> None:
    """Check that every value, by itself and together with others, is one that a job could run with.

    Raises:
        ConfigError: names the first key that is wrong, its value, and what was expected.
    """
    _check_all(cfg, AT_LEAST_ONE, lambda value: value >= 1, "1 or more")
    _check_all(cfg, NOT_NEGATIVE, lambda value: 0 <= value < math.inf, "0 or more, and finite")
    _check_all(cfg, ABOVE_ZERO, lambda value: value > 0, "above 0")
    _check_all(cfg, UNSET_OR_ABOVE_ZERO, lambda value: value is None or value > 0, "above 0, or None")
    for key, known in CHOICES.items():
        _check_all(cfg, (key,), known.__contains__, f"one of {', '.join(str(value) or 'nothing' for value in known)}")
    fractions = ("MODEL.DROPOUT_RATE", "SEARCH.EMA_DECAY", "SEARCH.BUDGET_FLOOR", "AUTOX3D.LABEL_SMOOTHING")
    _check_all(cfg, fractions, lambda rate: 0 <= rate < 1, "in [0, 1)")
    _check_all(
        cfg, ("SEARCH.PARETO_GFLOPS", "SEARCH.PARETO_LATENCY_MS"), _positive_numbers, "a list of numbers above 0"
    )
    _check_all(cfg, ("DATA.STD",), _positive_numbers, "numbers above 0")
    _check_all(cfg, ("OUTPUT_DIR",), lambda name: name and "\0" not in name, "the name of a folder")
    _check_all(cfg, ("OUTPUT_DIR",), lambda name: "://" not in name, "a folder of this machine's file system")
    _check_all(cfg, ("RNG_SEED",), lambda seed: seed < 2**62, "below 2^62")
    _check_together(cfg)


def _check_all(cfg: CfgNode, keys: tuple[str, ...], valid: Callable[[Any], bool], expected: str) -> None:
    for key in keys:
        value = value_at(cfg, key)
        if not valid(value):
            raise ConfigError(f"{key} is {value!r}, expected {expected}")


def _positive_numbers(values: list[Any]) -> bool:
    return all(isinstance(value, (int, float)) and value > 0 for value in values)


def _check_together(cfg: CfgNode) -> None:
    """Check keys whose values must fit one another.

    Raises:
        ConfigError: two don't fit.
    """
    _check_norm(cfg)
    _check_budgets(cfg)
    scales, crop = cfg.DATA.TRAIN_JITTER_SCALES, cfg.DATA.TRAIN_CROP_SIZE
    if len(scales) != 2 or not crop <= scales[0] <= scales[1]:
        raise ConfigError(
            f"DATA.TRAIN_JITTER_SCALES is {list(scales)}, expected [low, high] from DATA.TRAIN_CROP_SIZE {crop} up"
        )
    length = "SEARCH.EPOCHS" if cfg.SEARCH.ENABLE else "SOLVER.MAX_EPOCH"
    _check_modality(cfg)
    warmup, epochs = cfg.SOLVER.WARMUP_EPOCHS, value_at(cfg, length)
    if (cfg.TRAIN.ENABLE or cfg.SEARCH.ENABLE) and warmup >= epochs:
        raise ConfigError(f"SOLVER.WARMUP_EPOCHS is {warmup:g}, expected less than {length} {epochs}")


def _check_norm(cfg: CfgNode) -> None:
    """Check BN.NORM_TYPE against the keys that say which clips share statistics.

    Raises:
        ConfigError: they don't fit.
    """
    norm, clips = cfg.BN, cfg.TRAIN.BATCH_SIZE
    if norm.NORM_TYPE != "batchnorm" and cfg.SEARCH.ENABLE:
        raise ConfigError(f"BN.NORM_TYPE is {norm.NORM_TYPE!r}, expected batchnorm with SEARCH.ENABLE")
    if norm.NORM_TYPE == "sub_batchnorm" and clips % norm.NUM_SPLITS:
        raise ConfigError(f"BN.NUM_SPLITS is {norm.NUM_SPLITS}, expected a divisor of TRAIN.BATCH_SIZE {clips}")
    if norm.NORM_TYPE == "sync_batchnorm" and norm.NUM_SYNC_DEVICES == 1 and not norm.GLOBAL_SYNC:
        raise ConfigError(
            "BN.NORM_TYPE is 'sync_batchnorm', expected beside it BN.GLOBAL_SYNC True or BN.NUM_SYNC_DEVICES above 1"
        )


def _check_budgets(cfg: CfgNode) -> None:
    """Check SEARCH.BUDGETS, which replaces the keys of single budgets, and the keys that need a latency table.

    Raises:
        ConfigError: a budget is malformed, a single budget is set as well, or the table is missing.
    """
    budgets = cfg.SEARCH.BUDGETS
    for budget in budgets:
        if not isinstance(budget, (list, tuple)) or [isinstance(part, str) for part in budget] != [True, False, False]:
            raise ConfigError(f"SEARCH.BUDGETS has {budget!r}, expected [metric, target, weight]")
        if not all(type(part) in (int, float) for part in budget[1:]):
            raise ConfigError(f"SEARCH.BUDGETS has {budget!r}, expected numbers for target and weight")
    for key, default in SINGLE_BUDGETS.items():
        value = value_at(cfg, key)
        if budgets and value not in (0, default):
            raise ConfigError(f"{key} is {value:g}, expected it in SEARCH.BUDGETS, which lists all budgets")
    for key in ("PARETO_LATENCY_MS", "LATENCY_MACHINE", "LATENCY_BACKEND", "LATENCY_THREADS"):
        if cfg.SEARCH[key] and not cfg.SEARCH.LATENCY_TABLE:
            raise ConfigError(f"SEARCH.{key} is set, expected beside it SEARCH.LATENCY_TABLE")


def _check_modality(cfg: CfgNode) -> None:
    modality = cfg.AUTOX3D.MODALITY
    if modality != "rgb" and cfg.SEARCH.ENABLE:
        raise ConfigError(f"AUTOX3D.MODALITY is {modality!r}, but a search (SEARCH.ENABLE) is over networks of rgb")
    if modality != "rgb" and cfg.AUTOX3D.AUTO_AUGMENT:
        raise ConfigError(f"AUTOX3D.AUTO_AUGMENT is {cfg.AUTOX3D.AUTO_AUGMENT!r}, but AUTOX3D.MODALITY is {modality!r}")
    for key in ("MEAN", "STD"):
        if len(cfg.DATA[key]) != CHANNELS[modality]:
            wanted = f"{CHANNELS[modality]} numbers, for AUTOX3D.MODALITY {modality}"
            raise ConfigError(f"DATA.{key} is {list(cfg.DATA[key])}, expected {wanted}")
