"""Learning rates as pure functions of progress: 0 at the first step, towards 1 at the end of the last epoch.

The rules are those of PySlowFast's `utils/lr_policy.py`, which counts in epochs; progress is its epoch (with the
fraction of the running one) over SOLVER.MAX_EPOCH.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from functools import partial

from pytorchvideo_autox3d.errors import ConfigError

Schedule = Callable[[float], float]


def half_cosine(progress: float, *, base_lr: float, end_lr: float = 0.0, start: float = 0.0) -> float:
    """Half a cosine from `base_lr` at progress `start` down to `end_lr` at 1."""
    return end_lr + (base_lr - end_lr) * 0.5 * (1.0 + math.cos(math.pi * (progress - start) / (1.0 - start)))


def relative_steps(
    progress: float, *, base_lr: float, boundaries: Sequence[float], relative_lrs: Sequence[float]
) -> float:
    """`base_lr * relative_lrs[i]` from progress `boundaries[i]` on; the boundaries ascend from 0."""
    return base_lr * relative_lrs[bisect.bisect_right(boundaries, progress) - 1]


def linear_warmup(progress: float, *, schedule: Schedule, warmup: float, start_lr: float) -> float:
    """A line from `start_lr` at 0 to where `schedule` stands at progress `warmup`; from there on `schedule`."""
    if progress >= warmup:
        return schedule(progress)
    return start_lr + (schedule(warmup) - start_lr) * progress / warmup


def make_schedule(
    policy: str = "cosine",
    *,
    base_lr: float,
    max_epoch: float,
    warmup_epochs: float = 0.0,
    warmup_start_lr: float = 0.01,
    cosine_end_lr: float = 0.0,
    cosine_after_warmup: bool = False,
    steps: Sequence[float] = (),
    lrs: Sequence[float] = (),
) -> Schedule:
    """Compose a schedule from PySlowFast's SOLVER values; epochs as there, possibly fractional.

    Args:
        policy: "cosine" or "steps_with_relative_lrs" (SOLVER.LR_POLICY).
        cosine_after_warmup: the half-cosine begins at `base_lr` after the warm-up; otherwise it begins at epoch 0 and
            the warm-up ends on it, a little below `base_lr`.
        steps, lrs: first epoch and relative rate of each stretch; `steps[0]` is 0.

    Raises `ConfigError` naming the SOLVER key at fault.
    """
    if not 0 <= warmup_epochs < max_epoch:
        raise ConfigError(f"SOLVER.WARMUP_EPOCHS: {warmup_epochs} is outside [0, MAX_EPOCH) = [0, {max_epoch})")
    warmup = warmup_epochs / max_epoch
    if policy == "cosine":
        if not 0 <= cosine_end_lr < base_lr:
            raise ConfigError(f"SOLVER.COSINE_END_LR: {cosine_end_lr} is not below SOLVER.BASE_LR {base_lr}")
        start = warmup if cosine_after_warmup else 0.0
        schedule: Schedule = partial(half_cosine, base_lr=base_lr, end_lr=cosine_end_lr, start=start)
    elif policy == "steps_with_relative_lrs":
        _check_steps(steps, lrs)
        boundaries = [step / max_epoch for step in steps]
        schedule = partial(relative_steps, base_lr=base_lr, boundaries=boundaries, relative_lrs=tuple(lrs))
    else:
        raise ConfigError(f"SOLVER.LR_POLICY: {policy!r} is neither 'cosine' nor 'steps_with_relative_lrs'")
    return partial(linear_warmup, schedule=schedule, warmup=warmup, start_lr=warmup_start_lr)


def _check_steps(steps: Sequence[float], lrs: Sequence[float]) -> None:
    if not steps or steps[0] != 0 or list(steps) != sorted(set(steps)):
        raise ConfigError(f"SOLVER.STEPS: {list(steps)} does not ascend from 0")
    if len(lrs) != len(steps):
        raise ConfigError(f"SOLVER.LRS: {len(lrs)} rates for {len(steps)} SOLVER.STEPS")
