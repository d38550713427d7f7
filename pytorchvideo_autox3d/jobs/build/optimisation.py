"""SOLVER, BN, TRAIN and TEST of a config -> optimiser, schedule, loss and the settings of the engine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from fvcore.common.config import CfgNode
from torch import nn

from pytorchvideo_autox3d.engine import (
    CrossEntropy,
    EvalSettings,
    Keeping,
    Precision,
    Runtime,
    Schedule,
    TrainSettings,
    make_schedule,
)
from pytorchvideo_autox3d.engine import build_optimizer as make_optimizer
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.jobs.build.data import build_fault_policy, build_preprocess

_logger = logging.getLogger(__name__)
AUTOCAST = {"bfloat16": "bf16", "float16": "fp16"}


def rate_scale(cfg: CfgNode, *, num_machines: int = 1) -> float:
    """The factor of SOLVER's learning rates (linear scaling, Goyal et al., arXiv 1706.02677).

    With AUTOX3D.BASE_BATCH_SIZE the rates are meant for an update of so many clips, and the factor is the ratio of the
    run's clips to these. With SOLVER.BASE_LR_SCALE_NUM_SHARDS they are meant for one machine, as in PySlowFast, and the
    factor is the number of machines. Else it is 1.

    Raises:
        ConfigError: both keys are set.
    """
    base = cfg.AUTOX3D.BASE_BATCH_SIZE
    if base and cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS:
        raise ConfigError(
            f"AUTOX3D.BASE_BATCH_SIZE is {base}, and SOLVER.BASE_LR_SCALE_NUM_SHARDS is on: both scale the learning "
            "rate; set one of them"
        )
    if base:
        return clips_an_update(cfg, num_machines=num_machines) / base
    return float(num_machines) if cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS else 1.0


def clips_an_update(cfg: CfgNode, *, num_machines: int = 1) -> int:
    """The clips that one update learns from on all machines; TRAIN.BATCH_SIZE is of one machine."""
    return int(cfg.TRAIN.BATCH_SIZE * num_machines * cfg.AUTOX3D.GRAD_ACCUMULATION)


def log_learning_rate(cfg: CfgNode, *, num_machines: int = 1) -> None:
    """Log the learning rate of the run, and how it follows from SOLVER.BASE_LR."""
    scale = rate_scale(cfg, num_machines=num_machines)
    _logger.info(
        "base learning rate %g for updates of %d clips (SOLVER.BASE_LR %g times %g)",
        cfg.SOLVER.BASE_LR * scale,
        clips_an_update(cfg, num_machines=num_machines),
        cfg.SOLVER.BASE_LR,
        scale,
    )


def build_schedule(cfg: CfgNode, *, num_machines: int = 1) -> Schedule:
    """The weights' learning rate as a function of progress; scaled by `rate_scale`.

    It lasts SOLVER.MAX_EPOCH epochs, and in a search SEARCH.EPOCHS.

    Raises:
        ConfigError: a key of SOLVER is out of range.
    """
    scale = rate_scale(cfg, num_machines=num_machines)
    return make_schedule(
        cfg.SOLVER.LR_POLICY,
        base_lr=cfg.SOLVER.BASE_LR * scale,
        max_epoch=cfg.SEARCH.EPOCHS if cfg.SEARCH.ENABLE else cfg.SOLVER.MAX_EPOCH,
        **_warmup(cfg, scale),
        **_policy_arguments(cfg, scale),
    )


def _warmup(cfg: CfgNode, scale: float) -> dict[str, Any]:
    if not cfg.SOLVER.WARMUP_EPOCHS:
        return {}
    return {"warmup_epochs": cfg.SOLVER.WARMUP_EPOCHS, "warmup_start_lr": cfg.SOLVER.WARMUP_START_LR * scale}


def _policy_arguments(cfg: CfgNode, scale: float) -> dict[str, Any]:
    """What SOLVER.LR_POLICY takes; no other key is looked at, see `config.conditions`."""
    solver = cfg.SOLVER
    if solver.LR_POLICY == "steps_with_relative_lrs":
        return {"steps": solver.STEPS, "lrs": solver.LRS}
    if solver.LR_POLICY == "cosine":
        return {
            "cosine_end_lr": solver.COSINE_END_LR * scale,
            "cosine_after_warmup": solver.COSINE_AFTER_WARMUP,
        }
    return {}


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of the weights; its learning rate is set from the schedule before every step.

    Raises:
        ConfigError: a key of SOLVER is out of range.
    """
    return make_optimizer(
        model,
        method=cfg.SOLVER.OPTIMIZING_METHOD,
        base_lr=cfg.SOLVER.BASE_LR,
        **_method_arguments(cfg),
        weight_decay=cfg.SOLVER.WEIGHT_DECAY,
        bn_weight_decay=cfg.BN.WEIGHT_DECAY,
        zero_wd_1d_param=cfg.SOLVER.ZERO_WD_1D_PARAM,
    )


def _method_arguments(cfg: CfgNode) -> dict[str, Any]:
    """What SOLVER.OPTIMIZING_METHOD takes."""
    solver = cfg.SOLVER
    if solver.OPTIMIZING_METHOD in ("adam", "adamw"):
        return {"betas": tuple(solver.BETAS)}
    common = {"momentum": solver.MOMENTUM, "nesterov": solver.NESTEROV}
    return common if solver.OPTIMIZING_METHOD == "muon" else {**common, "dampening": solver.DAMPENING}


def build_loss(cfg: CfgNode) -> nn.Module:
    """The loss that MODEL.LOSS_FUNC names, with AUTOX3D.LABEL_SMOOTHING.

    Raises:
        ConfigError: there is no such loss.
    """
    if cfg.MODEL.LOSS_FUNC not in ("cross_entropy", "soft_cross_entropy"):
        raise ConfigError(f"MODEL.LOSS_FUNC: {cfg.MODEL.LOSS_FUNC!r} is neither cross_entropy nor soft_cross_entropy")
    return CrossEntropy(label_smoothing=cfg.AUTOX3D.LABEL_SMOOTHING)


def precision_of(cfg: CfgNode) -> str:
    """The engine's name ("fp32", "bf16", "fp16") of what TRAIN.MIXED_PRECISION and AUTOX3D.AUTOCAST ask for.

    Raises:
        ConfigError: AUTOX3D.AUTOCAST is unknown.
    """
    if cfg.AUTOX3D.AUTOCAST not in AUTOCAST:
        raise ConfigError(f"AUTOX3D.AUTOCAST: {cfg.AUTOX3D.AUTOCAST!r} is none of {', '.join(AUTOCAST)}")
    return AUTOCAST[cfg.AUTOX3D.AUTOCAST] if cfg.TRAIN.MIXED_PRECISION else "fp32"


def build_runtime(cfg: CfgNode, device: torch.device) -> Runtime:
    """Where and how the config's network runs: DATA.MEAN and STD, AUTOX3D.CHANNELS_LAST, the number format."""
    precision = Precision(precision_of(cfg))
    if precision.is_slow_on(device):
        _logger.warning("TRAIN.MIXED_PRECISION: this CPU has no instructions for bfloat16; float32 is faster here")
    return Runtime(
        device=device,
        preprocess=build_preprocess(cfg),
        precision=precision,
        channels_last=cfg.AUTOX3D.CHANNELS_LAST,
    )


def build_keeping(cfg: CfgNode) -> Keeping:
    """Which checkpoints stay, by AUTOX3D.CHECKPOINT_MINUTES, CHECKPOINTS_KEPT and EPOCHS_KEPT."""
    node = cfg.AUTOX3D
    return Keeping(minutes=node.CHECKPOINT_MINUTES, last=node.CHECKPOINTS_KEPT, epochs=node.EPOCHS_KEPT)


def build_train_settings(cfg: CfgNode) -> TrainSettings:
    """The settings of the training loop, from TRAIN, SOLVER, BN and AUTOX3D."""
    return TrainSettings(
        max_epoch=cfg.SOLVER.MAX_EPOCH,
        accumulation=cfg.AUTOX3D.GRAD_ACCUMULATION,
        clip_norm=cfg.SOLVER.CLIP_GRAD_L2NORM,
        clip_value=cfg.SOLVER.CLIP_GRAD_VAL,
        checkpoint_period=cfg.TRAIN.CHECKPOINT_PERIOD,
        keeping=build_keeping(cfg),
        eval_period=cfg.TRAIN.EVAL_PERIOD,
        log_period=cfg.LOG_PERIOD,
        precise_bn_batches=cfg.BN.NUM_BATCHES_PRECISE if cfg.BN.USE_PRECISE_STATS else 0,
        tensorboard_dir=tensorboard_dir(cfg),
        seed=cfg.RNG_SEED,
    )


def tensorboard_dir(cfg: CfgNode) -> str | None:
    """TENSORBOARD.LOG_DIR, by default a folder of OUTPUT_DIR; None where it is off."""
    if not cfg.TENSORBOARD.ENABLE:
        return None
    return cfg.TENSORBOARD.LOG_DIR or str(Path(cfg.OUTPUT_DIR, "tensorboard"))


def build_test_settings(cfg: CfgNode, *, views_a_pass: int, mode: str = "test") -> EvalSettings:
    """How views are scored, with `views_a_pass` of them in one forward pass; `mode` is "val" or "test"."""
    return EvalSettings(
        batch_size=views_a_pass,
        ensemble=cfg.DATA.ENSEMBLE_METHOD,
        missing="report" if build_fault_policy(cfg, mode, 1).action == "skip" else "error",
        log_period=cfg.LOG_PERIOD,
    )
