"""Checks before a job starts for what PySlowFast would end with in a traceback, or ignore without a word.

No video is opened and nothing is written. PySlowFast must be importable by now: see `compat`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fvcore.common.config import CfgNode
from torch import nn

from pytorchvideo_autox3d.checkpoint_files import read_checkpoint
from pytorchvideo_autox3d.data import UNNAMED, ClassNames, Manifest
from pytorchvideo_autox3d.engine.weights import load_model_state
from pytorchvideo_autox3d.errors import CheckpointError, ConfigError, DataError, ErrorCollector
from pytorchvideo_autox3d.jobs import SearchJob, build
from pytorchvideo_autox3d.jobs.start import check_something_is_left
from pytorchvideo_autox3d.jobs.trained import refuse_search_checkpoint
from pytorchvideo_autox3d.models.x3d_checkpoints import format_of
from pytorchvideo_autox3d.slowfast.configuration import native_cfg
from pytorchvideo_autox3d.slowfast.models import is_ours
from pytorchvideo_autox3d.slowfast.norms import KINDS
from pytorchvideo_autox3d.slowfast.rules import (
    DETECTION_MODEL,
    OUR_DATASETS,
    check_keys_of_our_model,
    check_together,
    dataset_of,
    splits_of,
)
from pytorchvideo_autox3d.slowfast.tested import classes_for, last_checkpoint, tested_checkpoint

# PySlowFast's own models whose checkpoints hold just their keys; it reshapes some of the others'.
THEIR_X3D = ("X3D", "PTVX3D")


@dataclass(frozen=True)
class Checked:
    """What the checks have read, for the jobs to use, so that nothing is parsed twice.

    Attributes:
        lists: the parsed list of each split that one of our data sets reads.
        search: our search, where that is asked for.
    """

    lists: Mapping[str, Manifest] = field(default_factory=dict)
    search: SearchJob | None = None

    @property
    def classes(self) -> ClassNames:
        """The classes of the training list, where one of our data sets reads it; else none."""
        return self.lists["train"].classes if "train" in self.lists else UNNAMED


def check(cfg: CfgNode) -> Checked:
    """Check config, lists and checkpoints for every error that they can show of a job's end.

    The search, the lists and the form of checkpoints are checked as in the native harness; the rest is PySlowFast's.

    Raises:
        ConfigError: keys that don't go together here; names them.
        DataError: a list that is missing or malformed.
        CheckpointError: a checkpoint that is missing, a caffe2 pickle, or not of this model.
    """
    if not (cfg.SEARCH.ENABLE or cfg.TRAIN.ENABLE or cfg.TEST.ENABLE):
        raise ConfigError("nothing to do: SEARCH.ENABLE, TRAIN.ENABLE and TEST.ENABLE are all False")
    if cfg.SEARCH.ENABLE:
        return Checked(search=SearchJob.from_config(native_cfg(cfg)))
    _check_names(cfg)
    name = cfg.MODEL.MODEL_NAME
    known = is_ours(name) or name in THEIR_X3D
    if is_ours(name):
        _check_model_keys(cfg)
    if cfg.BN.NORM_TYPE not in KINDS:
        raise ConfigError(f"BN.NORM_TYPE {cfg.BN.NORM_TYPE!r}: known are {', '.join(KINDS)}")
    check_together(cfg, takes_boxes=name == DETECTION_MODEL if known else None)
    model = _build_model(cfg) if known else None
    if cfg.TRAIN.ENABLE:
        _check_solver(cfg, model)
    found = ErrorCollector()
    with found.collecting():
        if cfg.TRAIN.ENABLE:
            _check_start(cfg, model)
    with found.collecting():
        _check_tested(cfg, model)
    found.raise_found()
    lists: dict[str, Manifest] = {}
    for split in splits_of(cfg):
        if dataset_of(cfg, split) in OUR_DATASETS.values():
            with found.collecting():
                trained = cfg.TRAIN.ENABLE and not cfg.TEST.CHECKPOINT_FILE_PATH and "train" in lists
                own = lists["train"].classes if split == "test" and trained else classes_for(cfg, split)
                lists |= build.read_lists(native_cfg(cfg), [split], classes=own)
                _check_labelled(lists[split])
    found.raise_found()
    checked = Checked(lists)
    if cfg.TRAIN.AUTO_RESUME and last_checkpoint(cfg):
        with build.naming("OUTPUT_DIR"):
            checked.classes.check_agrees(ClassNames.find(cfg.OUTPUT_DIR))
    return checked


def _check_labelled(manifest: Manifest) -> None:
    if not manifest.labelled:
        raise DataError(f"{manifest.name}: has no labels, and PySlowFast's test needs them; --harness native does not")


def _check_names(cfg: CfgNode) -> None:
    """Check the names that PySlowFast looks up: the model, the data sets and the loss (`ConfigError`)."""
    from slowfast.datasets import DATASET_REGISTRY
    from slowfast.models import MODEL_REGISTRY, losses

    models = sorted(name for name, _ in MODEL_REGISTRY)
    if cfg.MODEL.MODEL_NAME not in models:
        raise ConfigError(f"MODEL.MODEL_NAME {cfg.MODEL.MODEL_NAME!r}: known are {', '.join(models)}")
    datasets = sorted(name.lower() for name, _ in DATASET_REGISTRY)
    for split in splits_of(cfg):
        name, key = dataset_of(cfg, split), "TEST.DATASET" if split == "test" else "TRAIN.DATASET"
        if name.lower() not in datasets:
            raise ConfigError(f"{key} {name!r}: known are {', '.join(datasets)}")
        if name.lower().startswith("ptv"):
            raise ConfigError(
                f"{key} {name!r}: PySlowFast's data sets over PyTorchVideo give four values where its train() and "
                f"test() take five; use {name.lower().removeprefix('ptv')}"
            )
    try:
        losses.get_loss_func(cfg.MODEL.LOSS_FUNC)
    except NotImplementedError as error:
        raise ConfigError(f"MODEL.LOSS_FUNC {cfg.MODEL.LOSS_FUNC!r}: PySlowFast has no loss of that name") from error


def _check_model_keys(cfg: CfgNode) -> None:
    from slowfast.config.defaults import get_cfg

    check_keys_of_our_model(cfg, get_cfg())


def _check_solver(cfg: CfgNode, model: nn.Module | None) -> None:
    """Check the schedule and, where the model is known, the optimiser, which PySlowFast looks up late.

    Raises:
        ConfigError: PySlowFast has none of that name, or refuses SOLVER.LAYER_DECAY.
    """
    from slowfast.models.optimizer import construct_optimizer
    from slowfast.utils.lr_policy import get_lr_func

    try:
        get_lr_func(cfg.SOLVER.LR_POLICY)
    except NotImplementedError as error:
        raise ConfigError(f"SOLVER.LR_POLICY {cfg.SOLVER.LR_POLICY!r}: PySlowFast has none of that name") from error
    if model is None:
        return
    try:
        construct_optimizer(model, _on_cpu(cfg))
    except NotImplementedError as error:
        method = cfg.SOLVER.OPTIMIZING_METHOD
        raise ConfigError(f"SOLVER.OPTIMIZING_METHOD {method!r}: PySlowFast has none of that name") from error
    except (AssertionError, ValueError) as error:
        if cfg.SOLVER.LAYER_DECAY == 1:
            raise
        found = f"SOLVER.LAYER_DECAY is {cfg.SOLVER.LAYER_DECAY}"
        raise ConfigError(f"{found}: PySlowFast refuses it with {cfg.MODEL.MODEL_NAME}: {error}") from error


def _on_cpu(cfg: CfgNode) -> CfgNode:
    """A copy of the config with NUM_GPUS 0, for which PySlowFast does not wrap the network."""
    alone = cfg.clone()
    alone.NUM_GPUS = 0
    return alone


def _build_model(cfg: CfgNode) -> nn.Module:
    """The network on the CPU, with the keys that its checkpoints have."""
    from slowfast.models import MODEL_REGISTRY

    plain = cfg.clone()
    plain.BN.NORM_TYPE = "batchnorm"  # all kinds are saved as this one
    return MODEL_REGISTRY.get(cfg.MODEL.MODEL_NAME)(plain)


def _check_start(cfg: CfgNode, model: nn.Module | None) -> None:
    """Check the checkpoint that training goes on from, or starts from (`CheckpointError`)."""
    if cfg.TRAIN.AUTO_RESUME and (last := last_checkpoint(cfg)):
        checkpoint = read_checkpoint(last)
        if model is not None:
            _check_fits(model, checkpoint, last)
            _check_optimizer(cfg, model, checkpoint, f"{last}: PySlowFast can't resume it, so name another OUTPUT_DIR")
        return
    path = cfg.TRAIN.CHECKPOINT_FILE_PATH
    if not path or cfg.TRAIN.CHECKPOINT_TYPE == "caffe2":
        return
    checkpoint = read_checkpoint(path)
    refuse_search_checkpoint(checkpoint, path)
    if model is None or cfg.TRAIN.CHECKPOINT_INFLATE or cfg.TRAIN.CHECKPOINT_CLEAR_NAME_PATTERN:
        return
    _check_shares(model, checkpoint, path)
    if not cfg.TRAIN.CHECKPOINT_EPOCH_RESET:
        _check_optimizer(cfg, model, checkpoint, f"{path}: set TRAIN.CHECKPOINT_EPOCH_RESET True to take the weights")
    check_something_is_left(cfg, checkpoint, path)


def _check_tested(cfg: CfgNode, model: nn.Module | None) -> None:
    """Check the checkpoint that is tested; PySlowFast would leave at random whatever does not fit."""
    path, kind = tested_checkpoint(cfg) if cfg.TEST.ENABLE else (None, "")
    if path is not None and kind != "caffe2":
        checkpoint = read_checkpoint(path)
        refuse_search_checkpoint(checkpoint, path)
        if model is not None:
            _check_fits(model, checkpoint, path)


def _check_fits(model: nn.Module, checkpoint: Mapping[str, Any], path: str) -> None:
    """Check that a checkpoint has every key of the model in its shape, and no other (`CheckpointError`)."""
    _check_shares(model, checkpoint, path)
    load_model_state(model, checkpoint["model_state"], path)


def _check_shares(model: nn.Module, checkpoint: Mapping[str, Any], path: str) -> None:
    """Check that a checkpoint has most of the model's keys in their shapes; a detector may start from a classifier.

    Raises:
        CheckpointError: it has no model_state, or too few of the keys; says what would convert it.
    """
    if "model_state" not in checkpoint:
        raise CheckpointError(f"{path}: has no model_state, by which PySlowFast finds the network in a checkpoint")
    state, own = checkpoint["model_state"], model.state_dict()
    fitting = sum(key in own and own[key].shape == tensor.shape for key, tensor in state.items())
    if 2 * fitting > len(own):
        return
    if fitting:
        raise CheckpointError(
            f"{path}: does not fit the model: {fitting} of its {len(own)} tensors are there; PySlowFast would leave "
            "the rest at random"
        )
    here, there = _format(own), _format(state)
    hint = f"; autox3d convert-checkpoint writes it --to {here}" if here and there and here != there else ""
    raise CheckpointError(f"{path}: does not fit the model, which lacks {', '.join(list(state)[:3])}, ...{hint}")


def _format(state: Mapping[str, Any]) -> str | None:
    try:
        return format_of(state)
    except CheckpointError:
        return None


def _check_optimizer(cfg: CfgNode, model: nn.Module, checkpoint: Mapping[str, Any], advice: str) -> None:
    """Check the optimiser's state, which PySlowFast loads from every checkpoint that has an epoch.

    Raises:
        CheckpointError: it does not fit; begins with `advice`.
    """
    from slowfast.models.optimizer import construct_optimizer

    if "epoch" not in checkpoint:
        return
    optimizer = construct_optimizer(model, _on_cpu(cfg))
    try:
        optimizer.load_state_dict(checkpoint["optimizer_state"])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{advice}; its optimiser's state does not fit") from error
    if any("layer_decay" not in group for group in optimizer.param_groups):
        raise CheckpointError(f"{advice}; its optimiser's state is the native harness's")
