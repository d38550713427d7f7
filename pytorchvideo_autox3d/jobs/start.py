"""Checks of what a training starts from: the run that it resumes, a checkpoint that it is given, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fvcore.common.config import CfgNode
from torch import nn

from pytorchvideo_autox3d.checkpoint_files import epochs_done
from pytorchvideo_autox3d.data import ClassNames
from pytorchvideo_autox3d.engine import check_fits, checkpoint_model_state, last_checkpoint, read_checkpoint
from pytorchvideo_autox3d.errors import CheckpointError, ConfigError, DataError
from pytorchvideo_autox3d.jobs.build import naming
from pytorchvideo_autox3d.jobs.run_record import recorded_config
from pytorchvideo_autox3d.jobs.same_network import check_resumes_same_network
from pytorchvideo_autox3d.jobs.trained import classes_of, refuse_search_checkpoint


def check_start(cfg: CfgNode, model: nn.Module) -> None:
    """Check that a model fits what training would start from.

    Args:
        cfg: the whole config.
        model: its network, on any device.

    Raises:
        ConfigError: OUTPUT_DIR holds a run of another network.
        CheckpointError: the checkpoint is missing, damaged, of another network or of a search, or has no epoch left.
    """
    if _resumed(cfg) is not None:
        check_resumes_same_network(cfg, model)
    elif cfg.TRAIN.CHECKPOINT_FILE_PATH:
        with naming("TRAIN.CHECKPOINT_FILE_PATH"):
            path = cfg.TRAIN.CHECKPOINT_FILE_PATH
            checkpoint = read_checkpoint(path)
            refuse_search_checkpoint(checkpoint, path)
            check_fits(model, checkpoint_model_state(checkpoint, path), path, num_classes_may_differ=True)
            check_something_is_left(cfg, checkpoint, path)


def check_something_is_left(cfg: CfgNode, checkpoint: Mapping[str, Any], path: str) -> None:
    """Check that a training that goes on from a checkpoint's epoch has epochs left.

    Raises:
        CheckpointError: it has none.
    """
    done = epochs_done(checkpoint, path)
    if not cfg.TRAIN.CHECKPOINT_EPOCH_RESET and done >= cfg.SOLVER.MAX_EPOCH:
        raise CheckpointError(
            f"{path}: has trained {done} epochs, and SOLVER.MAX_EPOCH is {cfg.SOLVER.MAX_EPOCH}: nothing is left to "
            "train; TRAIN.CHECKPOINT_EPOCH_RESET True starts from its weights at epoch 1"
        )


def check_start_classes(cfg: CfgNode, classes: ClassNames) -> list[str]:
    """Compare the classes of the training list with those of what the training starts from.

    To start from a classifier for other classes, equally many, is allowed, but odd.

    Returns:
        Warnings, at most one.

    Raises:
        ConfigError: as `check_resumed_classes`.
    """
    check_resumed_classes(cfg, classes)
    if _resumed(cfg) is None and cfg.TRAIN.CHECKPOINT_FILE_PATH:
        path = cfg.TRAIN.CHECKPOINT_FILE_PATH
        known = classes_of(read_checkpoint(path), path)
        try:
            classes.check_agrees(known)
        except DataError as error:
            # With another number of classes the classifier starts afresh, and loading says so.
            return [f"TRAIN.CHECKPOINT_FILE_PATH: {error}"] if len(known) == cfg.MODEL.NUM_CLASSES else []
    return []


def check_resumed_classes(cfg: CfgNode, classes: ClassNames) -> None:
    """Check that a run that would be resumed has the same classes, as else its outputs would change their meaning.

    Raises:
        ConfigError: it has others.
    """
    resumed = _resumed(cfg)
    if resumed is not None:
        with naming("OUTPUT_DIR"):
            known = classes_of(read_checkpoint(resumed), resumed)
            classes.check_agrees(known)
            classes.check_numbered_alike(known, resumed)


def check_resumed_method(cfg: CfgNode) -> None:
    """Check that a search that would be resumed has the same SEARCH.METHOD.

    Raises:
        ConfigError: it has another.
    """
    recorded = recorded_config(cfg.OUTPUT_DIR) if _resumed(cfg) is not None else None
    method = (recorded or {}).get("SEARCH", {}).get("METHOD", cfg.SEARCH.METHOD)
    if method != cfg.SEARCH.METHOD:
        raise ConfigError(
            f"OUTPUT_DIR: {cfg.OUTPUT_DIR} holds a search with SEARCH.METHOD {method!r}, not {cfg.SEARCH.METHOD!r}: "
            "name another folder"
        )


def _resumed(cfg: CfgNode) -> str | None:
    return last_checkpoint(cfg.OUTPUT_DIR) if cfg.TRAIN.AUTO_RESUME else None
