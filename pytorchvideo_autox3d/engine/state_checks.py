"""Checks of the states in a checkpoint that somebody else may have written: plain values, but of any kind and size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import simplejson
import torch

from pytorchvideo_autox3d.engine.epoch_means import EpochMeans
from pytorchvideo_autox3d.errors import CheckpointError

_MOST = 1e18  # of a number that an optimiser works with
_MISFITS = (KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError, RuntimeError, AssertionError)


@contextmanager
def fitting(part: str, path: str, advice: str = "") -> Iterator[None]:
    """Within the `with` block whatever a state of a wrong kind raises is one line that names the file and the part.

    Args:
        part: the state's key in the checkpoint.
        path: the file.
        advice: what to do about it.

    Raises:
        CheckpointError: the state does not fit.
    """
    try:
        yield
    except CheckpointError:
        raise
    except _MISFITS as error:
        reason = next(iter(str(error).splitlines()), "")
        reason = f"no {reason}" if isinstance(error, KeyError) else reason or type(error).__name__
        raise CheckpointError(f"{path}: its {part} does not fit ({reason}){advice}") from error


def check_loop_state(state: Mapping[str, Any]) -> None:
    """Check what `TrainLoop.load_state_dict` takes, but for the generators' states.

    Raises:
        KeyError, TypeError, ValueError: a part is missing or of a wrong kind.
    """
    for name in ("epoch", "step", "steps_per_epoch"):
        if type(state[name]) is not int or state[name] < 0:
            raise ValueError(f"{name} is {state[name]!r}")
    if state["step"] and state["step"] >= state["steps_per_epoch"]:
        raise ValueError(f"step {state['step']} of {state['steps_per_epoch']}")
    EpochMeans().load_state_dict(state["means"])
    for record in state["history"]:
        if not isinstance(record, Mapping) or type(record.get("epoch")) is not int:
            raise ValueError("a record of the history is none")
        simplejson.dumps(record)


def check_optimizer(optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> None:
    """Check an optimiser that has just taken a state over: its tensors are the parameters', its options of their kinds.

    torch takes any, and fails at the next step.

    Args:
        optimizer: the optimiser.
        groups: its `param_groups` as they were before.

    Raises:
        ValueError: a tensor of another shape than its parameter, or an option of another kind than before.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            shape = tuple(value.shape) if isinstance(value, torch.Tensor) else None
            none = value is None and name == "momentum_buffer"  # as SGD has it before its first step
            if not none and name != "step" and shape != tuple(parameter.shape):
                found = f"of shape {shape}" if shape is not None else f"a {type(value).__name__}"
                raise ValueError(f"{name}: {found}, for a parameter of {tuple(parameter.shape)}")
            if name == "step" and not 0 <= float(value) < _MOST:
                raise ValueError(f"step: {value!r}")
    for before, now in zip(groups, optimizer.param_groups, strict=True):
        for name, value in before.items():
            if name not in now or not _alike(value, now[name]):
                raise ValueError(f"option {name}: {now.get(name)!r}, not {value!r}")


def _alike(own: Any, saved: Any) -> bool:
    """Whether an optimiser can have the option `saved` in the place of its own."""
    if own is None:
        return saved is None or isinstance(saved, bool)
    if isinstance(own, int | float) and not isinstance(own, bool):
        return isinstance(saved, int | float) and abs(saved) < _MOST
    return isinstance(saved, type(own))
