"""Checks of keys that don't go with PySlowFast's jobs; pure functions of a config, PySlowFast's or one like it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fvcore.common.config import CfgNode

from pytorchvideo_autox3d.config import check_values, leaves, value_at
from pytorchvideo_autox3d.config.readers import READERS
from pytorchvideo_autox3d.errors import ConfigError

# PySlowFast's own readers decode nothing on a current stack; these are the same lists over ours.
OUR_DATASETS = {"kinetics": "autox3d_kinetics", "ssv2": "autox3d_ssv2"}
DETECTION_MODEL = "AutoX3DDetection"
TOP_K = 5  # of PySlowFast's meters
ONE_CLIP = ("AUG.NUM_SAMPLE", "DATA.TRAIN_CROP_NUM_TEMPORAL", "DATA.TRAIN_CROP_NUM_SPATIAL")
# What its trainer looks at of DATA and AUG beside the keys of `config.READERS`; the rest is for its own readers.
TRAINER_KEYS = (
    "DATA.MULTI_LABEL", "DATA.REVERSE_INPUT_CHANNEL", "DATA.IN22k_VAL_IN1K", "DATA.TRAIN_CROP_NUM_TEMPORAL",
    "DATA.TRAIN_CROP_NUM_SPATIAL",
)  # fmt: skip
# Nodes of PySlowFast that only its own models look at; of MODEL its trainer looks at these whatever the model.
MODEL_NODES = ("MODEL.", "RESNET.", "NONLOCAL.", "MVIT.", "MASK.", "CONTRASTIVE.", "SLOWFAST.")
MODEL_TRAINER_KEYS = (
    "MODEL.FROZEN_BN", "MODEL.FP16_ALLREDUCE", "MODEL.SINGLE_PATHWAY_ARCH", "MODEL.MULTI_PATHWAY_ARCH",
)  # fmt: skip
SELF_SUPERVISED = ("ContrastiveModel", "MaskMViT")
# Of its own keys, those that count only beside others: a key or a node, when, and the same in words.
THEIR_CONDITIONS: tuple[tuple[str, Callable[[CfgNode], bool], str], ...] = (
    ("MULTIGRID.", lambda cfg: cfg.MULTIGRID.LONG_CYCLE or cfg.MULTIGRID.SHORT_CYCLE,
     "MULTIGRID.LONG_CYCLE or SHORT_CYCLE True"),
    ("SOLVER.GAMMA", lambda cfg: cfg.MULTIGRID.LONG_CYCLE, "MULTIGRID.LONG_CYCLE True"),
    ("SOLVER.STEP_SIZE", lambda cfg: False, "a step-wise policy that PySlowFast has not; SOLVER.STEPS says them all"),
    ("TENSORBOARD.", lambda cfg: cfg.TENSORBOARD.ENABLE, "TENSORBOARD.ENABLE True"),
    ("DETECTION.", lambda cfg: cfg.DETECTION.ENABLE, "DETECTION.ENABLE True"),
    ("AVA.", lambda cfg: cfg.DETECTION.ENABLE, "DETECTION.ENABLE True"),
    ("DEMO.ENABLE", lambda cfg: False, "PySlowFast's own tools; autox3d predict labels videos"),
    ("DEMO.", lambda cfg: False, "PySlowFast's own tools; autox3d predict labels videos"),
)  # fmt: skip
# Those that its recipes set for whoever fills in a path: told, not refused.
WITHOUT_A_START = ("TRAIN.CHECKPOINT_INFLATE", "TRAIN.CHECKPOINT_IN_INIT")


def check_conditions_of_theirs(cfg: CfgNode, defaults: CfgNode) -> list[str]:
    """Refuse PySlowFast's own keys that are set where what they count with is switched off.

    Args:
        cfg: PySlowFast's.
        defaults: PySlowFast's.

    Returns:
        Warnings about keys that its recipes set without effect, each as one line.

    Raises:
        ConfigError: names the key, and what it counts with.
    """
    told = []
    for key, value in _changed(cfg, defaults):
        if key in WITHOUT_A_START and not cfg.TRAIN.CHECKPOINT_FILE_PATH:
            needs = "a TRAIN.CHECKPOINT_FILE_PATH to start from"
            told.append(f"{key} {value!r} has no effect: it is read only with {needs}")
        for name, holds, needs in THEIR_CONDITIONS:
            named = key == name or (name.endswith(".") and key.startswith(name) and not key.endswith(".ENABLE"))
            if named and not holds(cfg):
                raise ConfigError(f"{key} is {value!r}, which is read only with {needs}")
    return told


def check_keys_of_our_model(cfg: CfgNode, defaults: CfgNode) -> None:
    """Refuse PySlowFast's own keys of models, where MODEL.MODEL_NAME is a model of ours.

    Raises:
        ConfigError: names the key.
    """
    stride = [("RESNET.STRIDE_1X1", cfg.RESNET.STRIDE_1X1)] if cfg.RESNET.STRIDE_1X1 else []
    for key, value in [*stride, *_changed(cfg, defaults)]:
        if key.startswith(MODEL_NODES) and key not in MODEL_TRAINER_KEYS:
            name = cfg.MODEL.MODEL_NAME
            raise ConfigError(f"{key} is {value!r}, which {name} does not read; PySlowFast's own models do")


def _changed(cfg: CfgNode, defaults: CfgNode) -> Iterator[tuple[str, Any]]:
    """The keys that PySlowFast alone has and that differ from its defaults, with their values."""
    before = dict(leaves(defaults))
    for key, value in leaves(cfg):
        if key not in READERS and key in before and value != before[key]:
            yield key, value


def check_keys_of_theirs(cfg: CfgNode, defaults: CfgNode) -> None:
    """Refuse PySlowFast's own keys that neither our data sets nor our search reads.

    Args:
        cfg: with our data sets under our names.
        defaults: PySlowFast's.

    Raises:
        ConfigError: names the key.
    """
    ours = {dataset_of(cfg, split) for split in splits_of(cfg)} <= set(OUR_DATASETS.values())
    for key, value in _changed(cfg, defaults):
        if cfg.SEARCH.ENABLE:
            raise ConfigError(f"{key} is {value!r}, which a search does not read; training and a test of PySlowFast do")
        if ours and key.startswith(("DATA.", "AUG.")) and key not in TRAINER_KEYS:
            names = " and ".join(OUR_DATASETS.values())
            raise ConfigError(f"{key} is {value!r}, which {names} don't read; PySlowFast's own data sets do")


def check_native_values(ours: CfgNode) -> None:
    """Check the values of `ours` by the rules of our own harness.

    TEST.NUM_ENSEMBLE_VIEWS may also be -1, which asks PySlowFast for several tests.

    Raises:
        ConfigError: names the first key whose value nothing could run with.
    """
    ours = ours.clone()
    if ours.TEST.NUM_ENSEMBLE_VIEWS == -1:  # several tests, of 1 to 10 clips
        ours.TEST.NUM_ENSEMBLE_VIEWS = 1
    check_values(ours)


def splits_of(cfg: CfgNode) -> list[str]:
    """The splits whose lists the jobs read; PySlowFast opens the validation list in every training."""
    return [*(["train", "val"] if cfg.TRAIN.ENABLE else []), *(["test"] if cfg.TEST.ENABLE else [])]


def dataset_of(cfg: CfgNode, split: str) -> str:
    """The name of the data set that reads a split."""
    return cfg.TEST.DATASET if split == "test" else cfg.TRAIN.DATASET


def check_together(cfg: CfgNode, *, takes_boxes: bool | None) -> None:
    """Check keys on which PySlowFast's train() and test() would end in a traceback.

    Args:
        cfg: PySlowFast's.
        takes_boxes: whether the model takes boxes; None where that is not known.

    Raises:
        ConfigError: names the first key at fault.
    """
    if cfg.TRAIN.ENABLE and cfg.TRAIN.EVAL_PERIOD < 1:
        raise ConfigError(f"TRAIN.EVAL_PERIOD is {cfg.TRAIN.EVAL_PERIOD}, expected 1 or more: PySlowFast divides by it")
    # The tasks that evaluate what one of these learnt are for any model.
    if cfg.TASK and "ssl_eval" not in cfg.TASK and cfg.MODEL.MODEL_NAME not in SELF_SUPERVISED:
        needs = f"MODEL.MODEL_NAME {' or '.join(SELF_SUPERVISED)}"
        raise ConfigError(f"TASK is {cfg.TASK!r}, which counts only with {needs}")
    known = [*cfg.MODEL.SINGLE_PATHWAY_ARCH, *cfg.MODEL.MULTI_PATHWAY_ARCH]
    if cfg.MODEL.ARCH not in known:
        raise ConfigError(f"MODEL.ARCH {cfg.MODEL.ARCH!r}: known are {', '.join(known)}")
    if takes_boxes is not None and takes_boxes != cfg.DETECTION.ENABLE:
        raise ConfigError(
            f"DETECTION.ENABLE {cfg.DETECTION.ENABLE} with MODEL.MODEL_NAME {cfg.MODEL.MODEL_NAME!r}: boxes go with "
            f"{DETECTION_MODEL}, over AutoX3D or X3D as MODEL.ARCH says, and it goes with boxes"
        )
    if cfg.DETECTION.ENABLE:
        _check_detection(cfg)
    elif not cfg.DATA.MULTI_LABEL and cfg.MODEL.NUM_CLASSES < TOP_K:
        raise ConfigError(
            f"MODEL.NUM_CLASSES is {cfg.MODEL.NUM_CLASSES}, expected {TOP_K} or more: PySlowFast's meters take the "
            f"top {TOP_K}; --harness native has no such limit"
        )
    if cfg.TRAIN.ENABLE and cfg.TRAIN.DATASET in OUR_DATASETS.values():
        _check_our_items(cfg)


def _check_detection(cfg: CfgNode) -> None:
    for split in splits_of(cfg):
        if dataset_of(cfg, split) in OUR_DATASETS.values():
            raise ConfigError(
                f"DETECTION.ENABLE: {dataset_of(cfg, split)} has no boxes; set TRAIN.DATASET and TEST.DATASET to ava"
            )
    if cfg.TRAIN.ENABLE and cfg.BN.USE_PRECISE_STATS:
        raise ConfigError("BN.USE_PRECISE_STATS: with DETECTION.ENABLE PySlowFast can't compute them; set it to False")
    if cfg.TRAIN.ENABLE and cfg.MODEL.MODEL_NAME == DETECTION_MODEL and cfg.MODEL.LOSS_FUNC != "bce":
        raise ConfigError(f"MODEL.LOSS_FUNC {cfg.MODEL.LOSS_FUNC!r}: {DETECTION_MODEL} gives scores, which need bce")
    if cfg.TEST.ENABLE and (cfg.NUM_GPUS > 1 or (cfg.NUM_GPUS == 1 and cfg.TEST.BATCH_SIZE != 1)):
        raise ConfigError(
            f"NUM_GPUS {cfg.NUM_GPUS}, TEST.BATCH_SIZE {cfg.TEST.BATCH_SIZE}: PySlowFast tests detection with "
            "NUM_GPUS 1 TEST.BATCH_SIZE 1, or NUM_GPUS 0"
        )


def _check_our_items(cfg: CfgNode) -> None:
    for key in ONE_CLIP:
        if value_at(cfg, key) != 1:
            raise ConfigError(f"{key} is {value_at(cfg, key)}, expected 1: {cfg.TRAIN.DATASET} gives a clip a video")
    if cfg.DATA.MULTI_LABEL:
        raise ConfigError(f"DATA.MULTI_LABEL: {cfg.TRAIN.DATASET} has one label a video")
