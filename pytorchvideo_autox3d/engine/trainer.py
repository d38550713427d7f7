"""Supervised training from plain arguments: puts the loop, the step and the hooks together."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine import hooks as H
from pytorchvideo_autox3d.engine.checkpoint import Checkpointer
from pytorchvideo_autox3d.engine.checkpoint_folder import Keeping
from pytorchvideo_autox3d.engine.precise_bn import average_bn_stats, recalibrate_bn
from pytorchvideo_autox3d.engine.protocols import Loader, Loss, ProcessStateful
from pytorchvideo_autox3d.engine.runtime import Runtime
from pytorchvideo_autox3d.engine.schedules import Schedule
from pytorchvideo_autox3d.engine.supervised import Mix, SupervisedStep
from pytorchvideo_autox3d.engine.tester import EvalSettings, EvalViews, multiview_scores
from pytorchvideo_autox3d.engine.train_loop import Hook, TrainLoop
from pytorchvideo_autox3d.engine.weights import load_weights

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How to train.

    Attributes:
        max_epoch: epochs in all (SOLVER.MAX_EPOCH).
        accumulation: batches for each update (AUTOX3D.GRAD_ACCUMULATION).
        clip_norm, clip_value: limits of the gradient, one of them at most (SOLVER.CLIP_GRAD_L2NORM, CLIP_GRAD_VAL).
        checkpoint_period: save every so many epochs, and after the last (TRAIN.CHECKPOINT_PERIOD).
        keeping: when checkpoints are saved inside an epoch, and how many stay.
        eval_period: evaluate every so many epochs, and after the last; 0 is never (TRAIN.EVAL_PERIOD).
        log_period: steps from one log line to the next (LOG_PERIOD).
        precise_bn_batches: batches over which batch norm's statistics are computed again before an evaluation or a
            checkpoint (BN.NUM_BATCHES_PRECISE); 0 is off.
        tensorboard_dir: where to log for TensorBoard; None does not.
        seed: of dropout and of all else that draws from global generators (RNG_SEED).
    """

    max_epoch: int
    accumulation: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None
    checkpoint_period: int = 10
    keeping: Keeping = field(default_factory=Keeping)
    eval_period: int = 10
    log_period: int = 10
    precise_bn_batches: int = 0
    tensorboard_dir: str | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The views that are evaluated between epochs, and how."""

    views: EvalViews
    settings: EvalSettings


def train(
    model: nn.Module,
    train_loader: Loader,
    *,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    loss: Loss,
    runtime: Runtime,
    output_dir: str,
    settings: TrainSettings,
    validation: Validation | None = None,
    mix: Mix | None = None,
    auto_resume: bool = True,
    checkpoint_file: str | None = None,
    checkpoint_epoch_reset: bool = False,
    cfg_text: str = "",
    card: Mapping[str, Any] | None = None,
    process_extras: Mapping[str, ProcessStateful] | None = None,
    extra_hooks: Sequence[Hook] = (),
) -> list[dict[str, Any]]:
    """Train `model` in place. On the CPU a run that was stopped and resumed ends bit for bit as one that was not.

    Args:
        model: plain; it is wrapped in DistributedDataParallel here when there are several processes.
        train_loader: batches of this process.
        optimizer: over the model's parameters; its learning rate is set from `schedule(progress)` before each step.
        loss, runtime, mix: as in `SupervisedStep`.
        output_dir: where checkpoints and `history.jsonl` go.
        settings, validation: how to train, and what to evaluate; None evaluates nothing.
        auto_resume: go on from the last checkpoint of `output_dir`, if it has one (TRAIN.AUTO_RESUME).
        checkpoint_file: otherwise start from this one (TRAIN.CHECKPOINT_FILE_PATH): its weights, optimiser and epoch,
            or with `checkpoint_epoch_reset` its weights alone, with a fresh classifier if the classes differ.
        cfg_text, card, process_extras: kept in checkpoints; see `Checkpointer`.
        extra_hooks: run before those that log and save.

    Returns:
        One record for each epoch: epoch (from 1), lr, loss, top1_err, top5_err (percent), grad_norm, data_time,
        compute_time (seconds), the metrics of `extra_hooks`, and in evaluated epochs val with top1_err, top5_err,
        top1_acc and top5_acc.

    Raises:
        TrainingError: a loss is not finite.
        TrainingInterrupted: after Ctrl-C; a checkpoint was saved.
        CheckpointError: the checkpoint to start from is damaged or does not fit.
    """
    distributed.seed_all(settings.seed)
    scaler = runtime.scaler()
    runtime.place(model).train()
    checkpointer = Checkpointer(
        output_dir,
        model=model,
        optimizer=optimizer,
        scaler=scaler,
        process_extras=process_extras,
        cfg_text=cfg_text,
        card=card,
        keeping=settings.keeping,
    )
    loop_state = start_from(
        checkpointer,
        auto_resume=auto_resume,
        checkpoint_file=checkpoint_file,
        checkpoint_epoch_reset=checkpoint_epoch_reset,
    )
    step = SupervisedStep(
        distribute(model, runtime.device),
        optimizer,
        loss,
        runtime=runtime,
        scaler=scaler,
        clip_norm=settings.clip_norm,
        clip_value=settings.clip_value,
        mix=mix,
    )
    hooks = [
        H.LRHook(optimizer, schedule),
        *extra_hooks,
        *_bn_hooks(model, train_loader, runtime, settings),
        *_eval_hooks(model, validation, runtime, settings),
        *standard_hooks(
            checkpointer,
            log_period=settings.log_period,
            checkpoint_period=settings.checkpoint_period,
            tensorboard_dir=settings.tensorboard_dir,
        ),
    ]
    loop = TrainLoop(step, train_loader, max_epoch=settings.max_epoch, hooks=hooks, accumulation=settings.accumulation)
    if loop_state is not None:
        loop.load_state_dict(loop_state)
    return loop.run()


def start_from(
    checkpointer: Checkpointer, *, auto_resume: bool, checkpoint_file: str | None, checkpoint_epoch_reset: bool
) -> dict[str, Any] | None:
    """Restore what training starts from: as in PySlowFast, its own last checkpoint, else a given file, else nothing.


    Args:
        checkpointer: of the folder that is trained in.
        auto_resume: whether to go on from that folder's last checkpoint (TRAIN.AUTO_RESUME).
        checkpoint_file: otherwise the file to start from; none is "" or None (TRAIN.CHECKPOINT_FILE_PATH).
        checkpoint_epoch_reset: whether that file gives its weights alone (TRAIN.CHECKPOINT_EPOCH_RESET).

    Returns:
        The state for `TrainLoop.load_state_dict`; None to start at epoch 0.
    """
    if auto_resume and (state := checkpointer.resume()) is not None:
        return state
    if not checkpoint_file:
        return None
    summary = load_weights(checkpointer.model, checkpoint_file)
    if checkpoint_epoch_reset or summary.fresh:
        # An optimiser's state for other classes fits no parameter of the new classifier.
        _logger.info("%s", summary)
        return None
    _logger.info("starting from %s, its optimiser and epoch included", checkpoint_file)
    return checkpointer.load(checkpoint_file)


def distribute(model: nn.Module, device: torch.device) -> nn.Module:
    """The model under DistributedDataParallel when there are several processes, else the model itself.

    Each process updates the running statistics of its batch norms by its own clips; `average_bn_stats` averages them.
    If those of the first process were broadcast before each step, the clips of the others would not count.


    Args:
        model: the network, on `device`.
        device: this process's device.
    """
    if not distributed.is_distributed():
        return model
    devices = [device.index] if device.type == "cuda" else None
    # What torch 2.14 would have in its place broadcasts the buffers once; after a resume inside an epoch each process
    # has its own.
    warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated", category=FutureWarning)
    # Of convolutions of 1 x 1 x 1, where the layouts that it compares are the same one.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides", category=UserWarning)
    return DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False)


def standard_hooks(
    checkpointer: Checkpointer,
    *,
    log_period: int,
    checkpoint_period: int,
    tensorboard_dir: str | None = None,
    history_name: str = "history.jsonl",
) -> list[Hook]:
    """The hooks of any training, in the right order: log, data-time warning, TensorBoard, history and checkpoints."""
    return [
        H.LogHook(period=log_period),
        H.DataTimeHook(),
        *([H.TensorBoardHook(tensorboard_dir, period=log_period)] if tensorboard_dir else []),
        H.HistoryHook(checkpointer.output_dir, name=history_name),
        H.CheckpointHook(checkpointer, period=checkpoint_period, minutes=checkpointer.keeping.minutes),
    ]


def _bn_hooks(
    model: nn.Module,
    loader: Loader,
    runtime: Runtime,
    settings: TrainSettings,
) -> list[Hook]:
    """Before evaluation and checkpoints: precise statistics, or at least the same ones in all processes."""

    def renew(loop: TrainLoop) -> None:
        if settings.precise_bn_batches <= 0:
            return average_bn_stats(model)
        return recalibrate_bn(model, loader, num_batches=settings.precise_bn_batches, runtime=runtime)

    return [H.PeriodicHook(renew, settings.checkpoint_period, settings.eval_period)]


def _eval_hooks(
    model: nn.Module,
    validation: Validation | None,
    runtime: Runtime,
    settings: TrainSettings,
) -> list[Hook]:
    if validation is None:
        return []

    def evaluate() -> Mapping[str, float]:
        result = multiview_scores(model, validation.views, runtime=runtime, settings=validation.settings, title="val")
        accuracies = {"top1_acc": result.top1_acc, "top5_acc": result.top5_acc}
        if result.missing_videos:  # an accuracy over fewer videos says so beside it
            accuracies["missing_videos"] = float(len(result.missing_videos))
        return {"top1_err": 100.0 - result.top1_acc, "top5_err": 100.0 - result.top5_acc, **accuracies}

    return [H.EvalHook(evaluate, period=settings.eval_period)]
