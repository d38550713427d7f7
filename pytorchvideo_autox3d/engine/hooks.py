"""Hooks around the steps of training: learning rate, logs, batch norm, evaluation, checkpoints.

`Hook` says when each method is called. Within an event, hooks run in the order in which the trainer lists them:
statistics before evaluation, evaluation before the record is written, and the checkpoint last, so that it holds what
all the others did.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import simplejson
import torch

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine.checkpoint import Checkpointer
from pytorchvideo_autox3d.engine.logs import duration_text, gpu_memory_text, log_json_stats
from pytorchvideo_autox3d.engine.optimizer import set_lr
from pytorchvideo_autox3d.engine.progress import ProgressBar
from pytorchvideo_autox3d.engine.schedules import Schedule
from pytorchvideo_autox3d.engine.train_loop import Hook, TrainLoop
from pytorchvideo_autox3d.files import write_text

_logger = logging.getLogger(__name__)


def is_due(loop: TrainLoop, period: int) -> bool:
    """Whether what is done every `period` epochs and after the last is due after the running epoch; 0 is never."""
    done = loop.epoch + 1
    return period > 0 and (done % period == 0 or done == loop.max_epoch)


class LRHook(Hook):
    """Sets the learning rate from the schedule before each step, and keeps it as the metric "lr"."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule) -> None:
        self._optimizer = optimizer
        self._schedule = schedule

    def before_step(self, loop: TrainLoop) -> None:
        lr = self._schedule(loop.progress)
        set_lr(self._optimizer, lr)
        loop.metrics["lr"] = lr


class MetricHook(Hook):
    """Updates metrics, such as a policy's entropy, from a function, every `period` steps and at an epoch's end."""

    def __init__(self, read: Callable[[], Mapping[str, float]], *, period: int = 1) -> None:
        self._read = read
        self._period = period

    def after_step(self, loop: TrainLoop) -> None:
        if loop.step_in_epoch % self._period == 0 or loop.step_in_epoch == loop.steps_per_epoch:
            loop.metrics.update(self._read())


class CounterHook(Hook):
    """Sums the counts that a function gives, such as videos skipped, over all processes in each step."""

    def __init__(self, read: Callable[[], Mapping[str, float]]) -> None:
        self._read = read

    def counters(self) -> Mapping[str, float]:
        return self._read()


class LogHook(Hook):
    """A progress bar, and `json_stats:` lines every `period` steps (LOG_PERIOD) and after each epoch."""

    def __init__(self, *, period: int) -> None:
        self._period = period
        self._bar = ProgressBar()
        self._seconds = 0.0
        self._steps = 0

    def before_epoch(self, loop: TrainLoop) -> None:
        title = f"epoch {loop.epoch + 1}/{loop.max_epoch}"
        self._bar.start(title, loop.steps_per_epoch, done=loop.step_in_epoch)

    def after_step(self, loop: TrainLoop) -> None:
        self._seconds += loop.data_time + loop.compute_time
        self._steps += 1
        eta = self._eta(loop)
        shown = {"loss": loop.scalars["loss"], **loop.metrics}
        text = " ".join(f"{name} {value:.4g}" for name, value in shown.items())
        times = f"data {loop.data_time:.2f}s compute {loop.compute_time:.2f}s"
        self._bar.update(loop.step_in_epoch, f"{text} {times} eta {eta}")
        if loop.step_in_epoch == loop.steps_per_epoch:
            self._bar.stop()  # evaluation shows a bar of its own
        if loop.step_in_epoch % self._period == 0:
            log_json_stats(
                {
                    "_type": "train_iter_",
                    "epoch": f"{loop.epoch + 1}/{loop.max_epoch}",
                    "iter": f"{loop.step_in_epoch}/{loop.steps_per_epoch}",
                    "dt": loop.data_time + loop.compute_time,
                    "dt_data": loop.data_time,
                    "dt_net": loop.compute_time,
                    "eta": eta,
                    "gpu_mem": gpu_memory_text(),
                    **loop.metrics,
                    **loop.scalars,
                }
            )

    def after_epoch(self, loop: TrainLoop) -> None:
        record = dict(loop.history[-1])
        validation = record.pop("val", None)
        common = {"epoch": f"{record.pop('epoch')}/{loop.max_epoch}", "gpu_mem": gpu_memory_text()}
        times = {"dt_data": record.pop("data_time"), "dt_net": record.pop("compute_time")}
        log_json_stats({"_type": "train_epoch", "eta": self._eta(loop), **common, **times, **record})
        if validation is not None:
            log_json_stats({"_type": "val_epoch", **common, **validation})

    def after_train(self, loop: TrainLoop) -> None:
        self._bar.stop()

    def _eta(self, loop: TrainLoop) -> str:
        left = loop.max_epoch * loop.steps_per_epoch - loop.global_step
        return duration_text(left * self._seconds / max(self._steps, 1))


class DataTimeHook(Hook):
    """Warns after an epoch in which waiting for data took more than half of the time, and says what helps."""

    def after_epoch(self, loop: TrainLoop) -> None:
        record = loop.history[-1]
        total = record["data_time"] + record["compute_time"]
        share = record["data_time"] / total if total > 0 else 0.0
        if share > 0.5 and distributed.is_main():
            _logger.warning(
                "epoch %d: %.0f%% of the time went into waiting for data. More DATA_LOADER.NUM_WORKERS (up to the "
                "number of cores), videos re-encoded with a short side of 256 to 340 pixels, or a local disk help.",
                record["epoch"],
                100 * share,
            )


class PeriodicHook(Hook):
    """Calls a function after the epochs that one of `periods` makes due, and after the last."""

    def __init__(self, action: Callable[[TrainLoop], object], *periods: int) -> None:
        self._action = action
        self._periods = periods

    def after_epoch(self, loop: TrainLoop) -> None:
        if any(is_due(loop, period) for period in self._periods):
            self._action(loop)


class EvalHook(PeriodicHook):
    """Puts what `evaluate()` returns into the epoch's record as "val", every `period` epochs (TRAIN.EVAL_PERIOD)."""

    def __init__(self, evaluate: Callable[[], Mapping[str, float]], *, period: int) -> None:
        def record(loop: TrainLoop) -> None:
            loop.history[-1]["val"] = {name: float(value) for name, value in evaluate().items()}

        super().__init__(record, period)


class TensorBoardHook(Hook):
    """Logs scalars for TensorBoard under PySlowFast's tags (Train/loss, Val/Top1_err, ...), on the main process."""

    def __init__(self, log_dir: str, *, period: int) -> None:
        self._log_dir = log_dir
        self._period = period
        self._writer: Any = None

    def before_train(self, loop: TrainLoop) -> None:
        if distributed.is_main():
            from torch.utils.tensorboard import SummaryWriter  # takes over a second to import: only when used

            # What a run that was stopped logged beyond its last checkpoint is overwritten.
            self._writer = SummaryWriter(self._log_dir, purge_step=loop.global_step)

    def after_step(self, loop: TrainLoop) -> None:
        if loop.step_in_epoch % self._period == 0:
            times = {"data_time": loop.data_time, "compute_time": loop.compute_time}
            self._write("Train", {**loop.scalars, **loop.metrics, **times}, loop)

    def after_epoch(self, loop: TrainLoop) -> None:
        self._write("Val", loop.history[-1].get("val", {}), loop)

    def after_train(self, loop: TrainLoop) -> None:
        if self._writer is not None:
            self._writer.close()

    def _write(self, group: str, values: Mapping[str, float], loop: TrainLoop) -> None:
        if self._writer is not None:
            for name, value in values.items():
                tag = name.capitalize() if name.startswith("top") else name
                self._writer.add_scalar(f"{group}/{tag}", value, loop.global_step)


class HistoryHook(Hook):
    """Writes the history to `<output_dir>/history.jsonl` after each epoch, one line an epoch, atomically."""

    def __init__(self, output_dir: str, *, name: str = "history.jsonl") -> None:
        self._path = os.path.join(output_dir, name)

    def after_epoch(self, loop: TrainLoop) -> None:
        if distributed.is_main():
            write_text(self._path, "".join(f"{simplejson.dumps(r, ignore_nan=True)}\n" for r in loop.history))


class CheckpointHook(Hook):
    """Saves every `period` epochs (TRAIN.CHECKPOINT_PERIOD), after the last, and when a stop was asked for.

    Inside an epoch it saves once `minutes` have passed since the last time (0: never), by the first process's `clock`,
    which gives seconds; the other processes learn of it with the loss of the next step.
    """

    def __init__(
        self,
        checkpointer: Checkpointer,
        *,
        period: int,
        minutes: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkpointer = checkpointer
        self._period = period
        self._minutes = minutes
        self._clock = clock
        self._saved: tuple[int, int] | None = None

    def before_train(self, loop: TrainLoop) -> None:
        self._saved, self._saved_at = _position(loop), self._clock()

    def after_step(self, loop: TrainLoop) -> None:
        if loop.step_in_epoch == loop.steps_per_epoch:
            return  # what follows an epoch belongs into its checkpoint
        if loop.saves:
            self._save(loop)
        elif self._minutes > 0 and distributed.is_main():
            loop.wants_save = self._clock() - self._saved_at >= 60.0 * self._minutes

    def after_epoch(self, loop: TrainLoop) -> None:
        if is_due(loop, self._period):
            self._save(loop)

    def on_interrupt(self, loop: TrainLoop) -> str | None:
        # Stopped before the first update since: writing again would replace a whole epoch's checkpoint for nothing.
        existing = self._checkpointer.existing(*_position(loop)) if self._saved == _position(loop) else None
        return existing or self._save(loop)

    def _save(self, loop: TrainLoop) -> str:
        path = self._checkpointer.save(loop.state_dict())
        self._saved, self._saved_at = _position(loop), self._clock()
        return path


def _position(loop: TrainLoop) -> tuple[int, int]:
    """(whole epochs, updates of the next), as checkpoints are named."""
    state = loop.state_dict()
    return state["epoch"], state["step"]
