"""Whether the policy has decided for an architecture, and what a search advises at its end where it has not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pytorchvideo_autox3d.search.policy import Policy
from pytorchvideo_autox3d.search.settings import SearchSettings

# A policy counts as decided at or below this share of the uniform policy's entropy. At a half, a decision between two
# candidates stands at 89 to 11.
DECIDED_SHARE = 0.5


def decision_report(
    policy: Policy, history: Sequence[Mapping[str, Any]], settings: SearchSettings, *, scored: bool = False
) -> list[str]:
    """Lines for the end of the search's log where the policy has not decided; an empty list where it has.

    Args:
        policy: as the search left it.
        history: what `search` returned. `alpha_snr` and `samples` of the last record are read.
        settings: of the search; what is set already is not advised.
        scored: whether validation scores decided among the most probable architectures.
    """
    highest, left = math.log(policy.space.size), float(policy.entropy().detach())
    if highest == 0 or left <= DECIDED_SHARE * highest:
        return []
    last = history[-1] if history else {}
    lines = [
        f"the policy has NOT decided: {left:.2f} of {highest:.2f} nats of entropy are left (decided: half or less), so "
        "that other architectures are as good a guess as the one above"
    ]
    ratio = last.get("alpha_snr")
    if ratio is not None:
        needed = f"{1 / ratio**2:.0f} steps sum up to as much signal as noise" if ratio > 0 else "no signal is seen"
        lines.append(f"alpha's gradient in the last epoch: signal to noise {ratio:.3f} a step; {needed}")
    return [*lines, f"what to change: {'; '.join(_advice(last, settings, scored))}"]


def _advice(last: Mapping[str, Any], settings: SearchSettings, scored: bool) -> list[str]:
    """Changes that were measured to raise the signal-to-noise ratio (docs/search.md), the most helpful first."""
    advice = []
    if "samples" in last and not settings.control_variate:
        advice.append("SEARCH.CONTROL_VARIATE True")
    advice.append("a larger TRAIN.BATCH_SIZE, or AUTOX3D.GRAD_ACCUMULATION")
    if "samples" in last:
        if settings.likelihood == "sum":
            advice.append("SEARCH.LIKELIHOOD mean")
        advice.append(f"more samples than SEARCH.NUM_SAMPLES {settings.num_samples}")
    learning = settings.epochs - settings.warmup_epochs
    return [
        *advice,
        f"more epochs of alpha than the {learning} after the warm-up, or a higher SEARCH.POLICY_LR",
        *([] if scored else ["or let scores decide: SEARCH.DERIVE best_of"]),
    ]
