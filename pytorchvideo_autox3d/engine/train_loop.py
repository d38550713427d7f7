"""The training loop: epochs of steps, with hooks around them. It knows nothing of models, optimisers or files.

    before_train
      for each epoch:  before_epoch  [ before_step  step  after_step ]*  after_epoch
    after_train        (also after an error)
    on_interrupt       (a stop was asked for: save, and say where)

A step is one update, made of `accumulation` consecutive batches of the loader.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine.epoch_means import EpochMeans
from pytorchvideo_autox3d.engine.interrupt import STOP_SIGNALS, StopRequest
from pytorchvideo_autox3d.engine.protocols import Loader, NamesFiles, Step
from pytorchvideo_autox3d.engine.rng import restore_rng_state, rng_state
from pytorchvideo_autox3d.errors import CheckpointError, DataError, TrainingError, TrainingInterrupted

_FILES_NAMED = 8  # in an error; a step of many processes learns from hundreds


class Hook:
    """Base of all hooks; a subclass overrides the methods it needs."""

    def before_train(self, loop: TrainLoop) -> None:
        """Once, before the first epoch of this run."""

    def before_epoch(self, loop: TrainLoop) -> None:
        """Before an epoch, or what remains of it after a resume."""

    def before_step(self, loop: TrainLoop) -> None:
        """Before an update, once its batches are there."""

    def counters(self) -> Mapping[str, float]:
        """Counts of this process, by the same names in each; `loop.metrics` gets their sums over all processes."""
        return {}

    def after_step(self, loop: TrainLoop) -> None:
        """After an update; `loop.scalars`, `loop.data_time` and `loop.compute_time` are those of this step."""

    def after_epoch(self, loop: TrainLoop) -> None:
        """After an epoch; `loop.history[-1]` is its record, to which a hook may add."""

    def on_interrupt(self, loop: TrainLoop) -> str | None:
        """When a stop was asked for; a hook may save, and then returns the path."""

    def after_train(self, loop: TrainLoop) -> None:
        """At the very end, also after an error, to release resources."""


class TrainLoop:
    """Runs `step` over `loader` for `max_epoch` epochs.

    What hooks and steps read:
        epoch: the running epoch, from 0.  step_in_epoch: updates done in it.  steps_per_epoch, max_epoch.
        scalars: what the last step returned, averaged over processes.
        metrics: values that hooks keep up to date and logs show as they are (the learning rate, fault counts).
        data_time, compute_time: seconds that the last step waited for batches, and computed.
        means: `EpochMeans` of the running epoch.   history: one record a finished epoch.
        wants_save: set by a hook of one process: all are to save after the next step.
        saves: whether any process wanted that before this step.
    """

    def __init__(
        self, step: Step, loader: Loader, *, max_epoch: int, hooks: Sequence[Hook] = (), accumulation: int = 1
    ) -> None:
        if accumulation < 1 or max_epoch < 1:
            raise TrainingError(f"nothing to train: {max_epoch} epochs, {accumulation} batches a step")
        if len(loader) == 0:
            raise TrainingError("nothing to train: the loader has no batch (fewer clips than one batch?)")
        self.step = step
        self.loader = loader
        self.hooks = tuple(hooks)
        self.max_epoch = max_epoch
        self.accumulation = accumulation
        self.steps_per_epoch = math.ceil(len(loader) / accumulation)
        self.epoch = 0
        self.step_in_epoch = 0
        self.scalars: dict[str, float] = {}
        self.metrics: dict[str, float] = {}
        self.data_time = 0.0
        self.compute_time = 0.0
        self.means = EpochMeans()
        self.history: list[dict[str, Any]] = []
        self._rng: dict[str, Any] | None = None
        self._stop = StopRequest()
        self._stop_signal = 0
        self._window: list[Any] = []
        self.wants_save = self.saves = False

    @property
    def progress(self) -> float:
        """The share of all updates that is done, in [0, 1), of which schedules are functions."""
        return self.global_step / (self.max_epoch * self.steps_per_epoch)

    @property
    def global_step(self) -> int:
        """Updates done since the start of training."""
        return self.epoch * self.steps_per_epoch + self.step_in_epoch

    def run(self) -> list[dict[str, Any]]:
        """Train from where the loop stands to the end; return the history.

        Raises:
            TrainingError: a loss is not finite (names epoch and step), or the loader ended early.
            TrainingInterrupted: a stop was asked for; hooks have saved before.
        """
        with self._stop:
            try:
                for hook in self.hooks:
                    hook.before_train(self)
                while self.epoch < self.max_epoch:
                    self._run_epoch()
            finally:
                for hook in reversed(self.hooks):
                    hook.after_train(self)
        return self.history

    def state_dict(self) -> dict[str, Any]:
        """Where the loop stands between two steps; a finished epoch counts as the start of the next."""
        finished = self.step_in_epoch == self.steps_per_epoch
        return {
            "epoch": self.epoch + finished,
            "step": 0 if finished else self.step_in_epoch,
            "steps_per_epoch": self.steps_per_epoch,
            "means": EpochMeans().state_dict() if finished else self.means.state_dict(),
            "history": [dict(record) for record in self.history],
            "rng": rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where `state_dict()` was called; `run` then restores the random generators.

        Raises:
            CheckpointError: the state is of mid-epoch, and an epoch now has another number of steps.
        """
        if state["step"] and state["steps_per_epoch"] != self.steps_per_epoch:
            raise CheckpointError(
                f"{state.get('source', 'the checkpoint')}: saved in mid-epoch, after step {state['step']} of "
                f"{state['steps_per_epoch']}, but an epoch now has {self.steps_per_epoch}: keep list, batch size and "
                "processes, or start from a checkpoint of a whole epoch"
            )
        self.epoch = state["epoch"]
        self.step_in_epoch = state["step"]
        self.means.load_state_dict(state["means"])
        self.history = [dict(record) for record in state["history"]]
        self._rng = state["rng"]

    def _run_epoch(self) -> None:
        batches = self._batches()
        for hook in self.hooks:
            hook.before_epoch(self)
        while self.step_in_epoch < self.steps_per_epoch:
            if self._run_step(batches) and self.step_in_epoch < self.steps_per_epoch:
                self._interrupt()
        record = {"epoch": self.epoch + 1, **self.metrics, **self.means.means()}
        self.history.append(record | {"data_time": self.means.data_time, "compute_time": self.means.compute_time})
        for hook in self.hooks:
            hook.after_epoch(self)
        self.epoch, self.step_in_epoch, self.means = self.epoch + 1, 0, EpochMeans()
        if self._agree_to_stop() and self.epoch < self.max_epoch:
            self._interrupt()

    def _batches(self) -> Iterator[Any]:
        """This epoch's batches, from where the loop stands; exact after a resume in mid-epoch.

        A loader may draw from the global generators as it starts. In mid-epoch that was before the state was saved, so
        the generators are put back after the first batch.
        """
        if self._rng is not None and self.step_in_epoch == 0:
            restore_rng_state(self._rng)
        self.loader.set_epoch(self.epoch, start_batch=self.step_in_epoch * self.accumulation)
        batches = iter(self.loader)
        if self._rng is not None and self.step_in_epoch > 0:
            batches = chain(list(islice(batches, 1)), batches)
            restore_rng_state(self._rng)
        self._rng = None
        return batches

    def _run_step(self, batches: Iterator[Any]) -> bool:
        """Fetch the batches, make the update and record it; return whether to stop."""
        begin = time.perf_counter()
        window = self._fetch(batches)
        fetched = time.perf_counter()
        for hook in self.hooks:
            hook.before_step(self)
        self._window = window
        own = self.step(window, self)
        self.scalars, clips, stop = self._reduce(own, sum(len(batch.label_B) for batch in window))
        self._check_loss(own)
        self.data_time, self.compute_time = fetched - begin, time.perf_counter() - fetched
        self.means.add(self.scalars, clips=clips, data_time=self.data_time, compute_time=self.compute_time)
        self.step_in_epoch += 1
        for hook in self.hooks:
            hook.after_step(self)
        return stop

    def files_at_fault(self, at_fault: bool) -> str:
        """Text that names the files of the running step in the processes at fault; "" where the loader names none.

        Every process must call this, with whether it is at fault.
        """
        own: list[str] = []
        if at_fault and isinstance(self.loader, NamesFiles):
            own = [name for batch in self._window for name in self.loader.files(batch)]
        names = sorted({name for part in distributed.all_gather_objects(own) for name in part})
        more = f" and {len(names) - _FILES_NAMED} more" if len(names) > _FILES_NAMED else ""
        return f"; it learnt from {', '.join(names[:_FILES_NAMED])}{more}" if names else ""

    def _fetch(self, batches: Iterator[Any]) -> list[Any]:
        try:
            window = list(islice(batches, self.accumulation))
        except (RuntimeError, DataError):
            # Ctrl-C reaches the loader's workers too, and a worker that is gone makes the loader raise.
            if self._stop.requested and not distributed.is_distributed():
                self._stop_signal = self._stop.number
                self._interrupt()
            raise
        if not window:
            raise TrainingError(f"{self._where()}: the loader ended early, though it said {len(self.loader)} batches")
        return window

    def _reduce(self, scalars: Mapping[str, Tensor | float], clips: int) -> tuple[dict[str, float], int, bool]:
        """Average scalars, sum clips and counters, agree whether to stop and save: all processes, in one message.

        Returns:
            The means, the clips of all processes, and whether to stop.
        """
        device = next((value.device for value in scalars.values() if isinstance(value, Tensor)), None)
        counters = {name: count for hook in self.hooks for name, count in hook.counters().items()}
        asked = [float(self._stop.number == number) for number in STOP_SIGNALS]
        values = [*scalars.values(), *counters.values(), *asked, float(self.wants_save), float(clips)]
        own = [torch.as_tensor(value, device=device).detach().reshape(()).double() for value in values]
        means = distributed.all_reduce_mean(torch.stack(own)).tolist()
        sums = [round(mean * distributed.world_size(), 6) for mean in means[len(scalars) :]]
        self.metrics.update(zip(counters, sums, strict=False))
        *stops, save, clips_of_all = sums[len(counters) :]
        self._stop_signal = next((number for number, asked in zip(STOP_SIGNALS, stops, strict=True) if asked), 0)
        self.wants_save, self.saves = False, save > 0
        return dict(zip(scalars, means, strict=False)), round(clips_of_all), self._stop_signal != 0

    def _agree_to_stop(self) -> bool:
        self._stop_signal = max(distributed.all_gather_objects(self._stop.number))
        return self._stop_signal != 0

    def _check_loss(self, own: Mapping[str, Tensor | float]) -> None:
        loss = self.scalars["loss"]
        if not math.isfinite(loss):
            files = self.files_at_fault(not math.isfinite(float(own["loss"])))
            raise TrainingError(
                f"{self._where()}: the loss is {loss}{files}; the last checkpoint is intact "
                "(lower SOLVER.BASE_LR, warm up longer, or set SOLVER.CLIP_GRAD_L2NORM)"
            )

    def _interrupt(self) -> None:
        saved = [place for hook in self.hooks if (place := hook.on_interrupt(self))]
        kept = f"saved {', '.join(saved)}" if saved else "nothing was saved"
        raise TrainingInterrupted(
            f"training was interrupted in epoch {self.epoch + 1} of {self.max_epoch}, after step {self.step_in_epoch} "
            f"of {self.steps_per_epoch}; {kept}: the same command resumes from the last checkpoint",
            signal_number=self._stop_signal,
        )

    def _where(self) -> str:
        return f"epoch {self.epoch + 1}, step {self.step_in_epoch + 1} of {self.steps_per_epoch}"
