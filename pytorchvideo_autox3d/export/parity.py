"""Whether an exported file gives eager's logits, and by which measure.

The measure is the largest difference from eager's logits. A few networks magnify rounding so much that eager in
float32 is itself farther than that from the same network in float64: then no conversion, however exact, could agree
with it. Their files are measured from float64 instead, and may be half again as far from it as eager is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import ExportError
from pytorchvideo_autox3d.eval_mode import evaluating

TOLERANCE = 1e-4
"""How far logits may be from eager's, in float32; relative to the largest one where that exceeds 1, as rounding is."""
LUCK = 1.5
"""How much farther from float64 than eager a file may be: both round the same sums, each in an order of its own."""


@dataclass(frozen=True)
class Parity:
    """How a file's logits compare with eager's.

    Attributes:
        max_difference: the largest |file - eager| over the logits of all clips.
        relative_difference: the same, of every clip relative to its largest logit where that exceeds 1.
        eager_error: where that exceeds 1e-4, how far eager is from float64, relative likewise; else None.
        exported_error: in the same case, how far the file is from float64; else None.
    """

    max_difference: float
    relative_difference: float
    eager_error: float | None = None
    exported_error: float | None = None


def eager_logits(model: nn.Module, clip: Tensor) -> Tensor:
    """The logits of the model in eval; its mode stays what it was."""
    with evaluating(model), torch.inference_mode():
        logits: Tensor = model(clip)
    return logits


def compare(run: Callable[[Tensor], Tensor], model: nn.Module, clips: Sequence[Tensor], *, bounded: bool) -> Parity:
    """Run a file and its network on clips.

    Args:
        run: the file, from a clip (B, C, T, H, W) to logits.
        model: what it was made of.
        clips: one by one.
        bounded: whether a difference may be too large.
    Raises:
        ExportError: the logits have another shape, or differ too much; says by how much.
    """
    expected = [eager_logits(model, clip) for clip in clips]
    found = [run(clip) for clip in clips]
    for ours, eagers in zip(found, expected, strict=True):
        if ours.shape != eagers.shape:
            raise ExportError(f"logits of shape {tuple(ours.shape)}, eager's are {tuple(eagers.shape)}")
    worst = float(
        torch.stack([(ours - eagers).abs().max() for ours, eagers in zip(found, expected, strict=True)]).max()
    )
    relative = distance(found, expected)
    if not bounded or relative <= TOLERANCE:
        return Parity(worst, relative)
    differ = f"logits differ from eager's by {relative:.1e} of the largest, more than {TOLERANCE:.1e}"
    exact = _in_float64(model, clips)
    if exact is None:
        raise ExportError(differ)
    of_eager, of_file = distance(expected, exact), distance(found, exact)
    if not of_file <= max(TOLERANCE, LUCK * of_eager):
        raise ExportError(f"{differ}; from float64's the file's differ by {of_file:.1e}, eager's by {of_eager:.1e}")
    return Parity(worst, relative, of_eager, of_file)


def distance(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference of logits over clips, each clip's relative to its largest logit where that exceeds 1."""
    pairs = zip(found, expected, strict=True)
    shares = [(ours - theirs).abs().max() / theirs.abs().max().clamp(min=1) for ours, theirs in pairs]
    return float(torch.stack(shares).max())  # NaN, where there is one


def _in_float64(model: nn.Module, clips: Sequence[Tensor]) -> list[Tensor] | None:
    """The logits of the same network in float64; None where it can't run so."""
    double = copy.deepcopy(model).double()
    try:
        return [eager_logits(double, clip.double()) for clip in clips]
    except (RuntimeError, TypeError, NotImplementedError):
        return None
