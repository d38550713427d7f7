"""Learning rates over progress: 0 at the first step, towards 1 at the end of the last epoch; fvcore's schedulers.

The rules are those of PySlowFast's `utils/lr_policy.py`, which counts in epochs; progress is its epoch (with the
fraction of the running one) over SOLVER.MAX_EPOCH.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from fvcore.common.param_scheduler import (
    CompositeParamScheduler,
    ConstantParamScheduler,
    CosineParamScheduler,
    LinearParamScheduler,
    ParamScheduler,
)

from pytorchvideo_autox3d.errors import ConfigError

Schedule = Callable[[float], float]


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
    """Compose a schedule from PySlowFast's SOLVER values; numbers of epochs may be fractional, as there.

    Args:
        policy: "cosine" or "steps_with_relative_lrs" (SOLVER.LR_POLICY).
        base_lr: the learning rate at the beginning of the policy.
        max_epoch: epochs in all.
        warmup_epochs: epochs of a linear rise to the policy's rate; 0 is none.
        warmup_start_lr: the rate at which that begins.
        cosine_end_lr: the rate at which the half-cosine ends; below `base_lr`.
        cosine_after_warmup: the half-cosine begins at `base_lr` after the warm-up; otherwise it begins at epoch 0 and
            the warm-up ends on it, a little below `base_lr`.
        steps, lrs: for "steps_with_relative_lrs", the first epoch of each stretch, from 0 on, and its rate relative to
            `base_lr`.

    Returns:
        A function of progress in [0, 1).

    Raises:
        ConfigError: a value is out of range or unknown; names the SOLVER key.
    """
    if not 0 <= warmup_epochs < max_epoch:
        raise ConfigError(f"SOLVER.WARMUP_EPOCHS: {warmup_epochs} is outside [0, MAX_EPOCH) = [0, {max_epoch})")
    warmup = warmup_epochs / max_epoch
    if policy == "cosine":
        if not 0 <= cosine_end_lr < base_lr:
            raise ConfigError(f"SOLVER.COSINE_END_LR: {cosine_end_lr} is not below SOLVER.BASE_LR {base_lr}")
        schedule: ParamScheduler = CosineParamScheduler(base_lr, cosine_end_lr)
    elif policy == "steps_with_relative_lrs":
        _check_steps(steps, lrs)
        schedule = _relative_steps(base_lr, [step / max_epoch for step in steps], lrs)
    else:
        raise ConfigError(f"SOLVER.LR_POLICY: {policy!r} is neither 'cosine' nor 'steps_with_relative_lrs'")
    if warmup == 0:
        return schedule
    rescaled = policy == "cosine" and cosine_after_warmup
    line = LinearParamScheduler(warmup_start_lr, schedule(0.0 if rescaled else warmup))
    scaling = ["rescaled", "rescaled" if rescaled else "fixed"]
    return CompositeParamScheduler([line, schedule], [warmup, 1.0 - warmup], scaling)


def _relative_steps(base_lr: float, boundaries: Sequence[float], relative_lrs: Sequence[float]) -> ParamScheduler:
    """`base_lr * relative_lrs[i]` from progress `boundaries[i]` on; the boundaries ascend from 0."""
    rates = [ConstantParamScheduler(base_lr * relative) for relative in relative_lrs]
    lengths = [end - start for start, end in pairwise([*boundaries, 1.0])]
    return CompositeParamScheduler(rates, lengths, ["fixed"] * len(rates))


def _check_steps(steps: Sequence[float], lrs: Sequence[float]) -> None:
    if not steps:
        raise ConfigError(
            "SOLVER.STEPS is empty, expected with SOLVER.LR_POLICY steps_with_relative_lrs the first epoch of each "
            "stretch, from 0 on"
        )
    if steps[0] != 0 or list(steps) != sorted(set(steps)):
        raise ConfigError(f"SOLVER.STEPS: {list(steps)} does not ascend from 0")
    if len(lrs) != len(steps):
        raise ConfigError(f"SOLVER.LRS: {len(lrs)} rates for {len(steps)} SOLVER.STEPS")
