"""Checkpoints in PySlowFast's layout, which are written whole or not at all, and read without running code from them.

Keys as PySlowFast has them: epoch (the last whole epoch, from 0), model_state, optimizer_state, scaler_state and cfg
(text).
Ours beside them: model_card (what it takes to use the model), loop_state, rng_states and process_states (one a
process), process_buffers (inside an epoch, of several processes: the batch statistics of each), extra_states (by name:
a search's policy, say). `checkpoint_folder` names the files.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from typing import Any

import torch
from iopath.common.file_io import g_pathmgr
from torch import Tensor, nn

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.checkpoint_files import checkpoint_model_state, epochs_done, read_checkpoint
from pytorchvideo_autox3d.engine.checkpoint_folder import (
    Keeping,
    checkpoint_path,
    last_checkpoint,
    point_latest_to,
    write_checkpoint,
)
from pytorchvideo_autox3d.engine.protocols import ProcessStateful, Stateful
from pytorchvideo_autox3d.engine.rng import check_rng_state
from pytorchvideo_autox3d.engine.state_checks import check_loop_state, check_optimizer, fitting
from pytorchvideo_autox3d.engine.weights import load_model_state, unwrapped
from pytorchvideo_autox3d.errors import AutoX3DError, CheckpointError

_logger = logging.getLogger(__name__)
_WEIGHTS_ALONE = (
    "to take its weights alone, name it in TRAIN.CHECKPOINT_FILE_PATH with TRAIN.CHECKPOINT_EPOCH_RESET True and "
    "another OUTPUT_DIR"
)


class Checkpointer:
    """Saves and restores everything that decides how a run goes on.

    Args:
        output_dir: the run's folder, on a local disk.
        model, optimizer, scaler: what is trained; whether the model is wrapped (DDP, torch.compile) makes no difference
            to the file.
        extras: further objects with state, by name.
        cfg_text: the config as yaml, kept for the reader.
        process_extras: objects of which each process has its own state, by name, such as counters of faults.
        card: plain data that says how the model is used (a `ModelCard`'s), kept as `model_card`.
        keeping: which checkpoints stay.
    """

    def __init__(
        self,
        output_dir: str,
        *,
        model: nn.Module,
        optimizer: Stateful | None = None,
        scaler: Stateful | None = None,
        extras: Mapping[str, Stateful] | None = None,
        process_extras: Mapping[str, ProcessStateful] | None = None,
        cfg_text: str = "",
        card: Mapping[str, Any] | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        self.output_dir = output_dir
        self.model = model
        self.optimizer = optimizer
        self.scaler = scaler
        self.extras = dict(extras or {})
        self.process_extras = dict(process_extras or {})
        self.cfg_text = cfg_text
        self.card = card
        self.keeping = keeping or Keeping()

    def save(self, loop_state: Mapping[str, Any]) -> str:
        """Write a checkpoint; every process must call this. Returns the path.

        It is put together in memory first, so that a full disk is an error like that of any other file.

        Args:
            loop_state: what `TrainLoop.state_dict()` gives.


        Raises:
            AutoX3DError: it can't be written; names the file and the cause. Older checkpoints are untouched.
        """
        own = {name: extra.state_dict() for name, extra in self.process_extras.items()}
        rng_states = distributed.all_gather_objects(loop_state["rng"])
        process_states = distributed.all_gather_objects(own)
        buffers = self._gathered_buffers() if loop_state["step"] else []
        path = checkpoint_path(self.output_dir, loop_state["epoch"], loop_state["step"])
        found: AutoX3DError | None = None
        if distributed.is_main():
            content = self._content(loop_state, rng_states, process_states)
            serialised = io.BytesIO()
            torch.save(content | ({"process_buffers": buffers} if buffers else {}), serialised)
            try:
                write_checkpoint(path, serialised.getbuffer(), self.keeping)
            except AutoX3DError as error:
                found = error
        distributed.raise_together(found)
        return path

    def resume(self) -> dict[str, Any] | None:
        """Restore the run's furthest whole checkpoint.

        Returns:
            The state for `TrainLoop.load_state_dict`; None where there is no checkpoint.

        Raises:
            CheckpointError: as `load`, or all checkpoints are damaged.
        """
        path = last_checkpoint(self.output_dir, tell=distributed.is_main())
        if path is None:
            return None
        if distributed.is_main():
            point_latest_to(path)
        _logger.info("resuming from %s", path)
        return self.load(path)

    def existing(self, epoch: int, step: int) -> str | None:
        """The path that `checkpoint_path` gives, if there is such a file; else None."""
        path = checkpoint_path(self.output_dir, epoch, step)
        return path if g_pathmgr.isfile(path) else None

    def load(self, path: str) -> dict[str, Any]:
        """Restore every part from `path`; return the state for `TrainLoop.load_state_dict`.

        Raises:
            CheckpointError: the file is damaged, lacks a part or does not fit; names it.
        """
        checkpoint = read_checkpoint(path)
        load_model_state(self.model, checkpoint_model_state(checkpoint, path), path)
        self._restore("optimizer_state", self.optimizer, checkpoint, path)
        if checkpoint.get("scaler_state"):
            # Empty when it was saved without fp16: then the fresh scale is the right one.
            self._restore("scaler_state", self.scaler, checkpoint, path)
        extra_states = checkpoint.get("extra_states", {})
        for name, extra in self.extras.items():
            self._restore(name, extra, extra_states, path)
        with fitting("process_buffers", path):
            self._restore_buffers(checkpoint.get("process_buffers", []))
        with fitting("process_states", path):
            for name, process_extra in self.process_extras.items():
                states = [one[name] for one in checkpoint.get("process_states", []) if name in one]
                process_extra.load_state_dicts(states)
        return self._loop_state(checkpoint, path)

    def _content(
        self, loop_state: Mapping[str, Any], rng_states: list[Any], process_states: list[Any]
    ) -> dict[str, Any]:
        optimizer = {"optimizer_state": self.optimizer.state_dict()} if self.optimizer else {}
        return {
            "epoch": loop_state["epoch"] - 1,
            "model_state": unwrapped(self.model).state_dict(),
            **optimizer,
            "scaler_state": self.scaler.state_dict() if self.scaler else {},
            "cfg": self.cfg_text,
            **({"model_card": dict(self.card)} if self.card else {}),
            "loop_state": {key: value for key, value in loop_state.items() if key != "rng"},
            "rng_states": rng_states,
            "process_states": process_states,
            "extra_states": {name: extra.state_dict() for name, extra in self.extras.items()},
        }

    def _gathered_buffers(self) -> list[dict[str, Tensor]]:
        """The buffers of each process, as running statistics differ inside an epoch; empty for a single process."""
        if not distributed.is_distributed():
            return []
        own = {name: buffer.detach().cpu() for name, buffer in unwrapped(self.model).named_buffers()}
        return distributed.all_gather_objects(own)

    def _restore_buffers(self, buffers: list[dict[str, Tensor]]) -> None:
        """Restore this process's own buffers; with another number of processes all keep those of the model's state."""
        if len(buffers) != distributed.world_size():
            return
        for name, buffer in unwrapped(self.model).named_buffers():
            if name in buffers[distributed.rank()]:
                buffer.copy_(buffers[distributed.rank()][name])

    @staticmethod
    def _restore(key: str, target: Stateful | None, states: Mapping[str, Any], path: str) -> None:
        if target is None:
            return
        if key not in states:
            raise CheckpointError(f"{path}: has no {key}; {_WEIGHTS_ALONE}")
        with fitting(key, path, f"; {_WEIGHTS_ALONE}"):
            groups = [dict(group) for group in getattr(target, "param_groups", ())]
            target.load_state_dict(states[key])
            if isinstance(target, torch.optim.Optimizer):
                check_optimizer(target, groups)

    @staticmethod
    def _loop_state(checkpoint: dict[str, Any], path: str) -> dict[str, Any]:
        """The loop's state, with the random generators of this process.

        A checkpoint of PySlowFast has the epoch alone. With another number of processes the generators can't be
        restored, and keep the state that the caller seeded.
        """
        bare = {"epoch": epochs_done(checkpoint, path), "step": 0, "steps_per_epoch": 0}
        empty = {"means": {"sums": {}, "clips": {}, "times": [0.0, 0.0]}, "history": []}
        rng_states = checkpoint.get("rng_states", [])
        same_job = len(rng_states) == distributed.world_size()
        if rng_states and not same_job:
            _logger.warning(
                "the checkpoint was saved by %d process(es), this job has %d: random draws differ from here on",
                len(rng_states),
                distributed.world_size(),
            )
        rng = rng_states[distributed.rank()] if same_job else None
        if rng is not None:
            with fitting("rng_states", path):
                check_rng_state(rng)
        state = {**bare, **empty, **checkpoint.get("loop_state", {}), "rng": rng, "source": path}
        with fitting("loop_state", path):
            check_loop_state(state)
        return state
