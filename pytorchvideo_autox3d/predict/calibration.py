"""Fitting a temperature and a rejection threshold on labelled videos that training has not seen.

Shapes: N videos, V views of each, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

from pytorchvideo_autox3d.errors import EvaluationError
from pytorchvideo_autox3d.models import Calibration
from pytorchvideo_autox3d.predict.prediction import combined_scores

_BINS = 15  # as Guo et al., 2017
_LOG_TEMPERATURES = (np.log(0.05), np.log(20.0))


@dataclass(frozen=True)
class Fit:
    """A calibration, and what it does on the lists that it was fitted on.

    Attributes:
        calibration: the temperature and the threshold.
        nll_before, nll_after: mean negative log-likelihood of the right class, without and with the temperature.
        accepted: the share of the labelled videos whose score reaches the threshold.
        accuracy_of_accepted: the share of these that are right; NaN where there are none.
        unknown_rejected: the share of the videos of no class that are rejected; None without such videos.
    """

    calibration: Calibration
    nll_before: float
    nll_after: float
    accepted: float
    accuracy_of_accepted: float
    unknown_rejected: float | None


def fit_calibration(
    logits_NVK: Sequence[Tensor],
    label_N: NDArray[np.int64],
    *,
    ensemble: str = "sum",
    keep: float = 0.95,
    unknown_VK: Sequence[Tensor] = (),
    list_hash: str = "",
) -> Fit:
    """Fit a temperature and a threshold to the logits of every video's views.

    The temperature minimises the negative log-likelihood of the videos' scores. The threshold keeps a share `keep` of
    the videos that are recognised rightly. Where there are videos of no class, it is the one that tells them from
    those best: the mean of the shares kept and rejected is largest.

    Args:
        logits_NVK: of each labelled video, a tensor (V, K).
        label_N: the right classes.
        ensemble: how views are combined: "sum" or "max", as in a card.
        keep: from 0 to 1; not used where there are videos of no class.
        unknown_VK: of each video of no class, its logits (V, K).
        list_hash: of the labelled list, kept with the calibration.
    Raises:
        EvaluationError: there are no videos, or none of them is recognised rightly.
    """
    if not len(logits_NVK):
        raise EvaluationError("no videos to calibrate on")
    temperature = _fit_temperature(logits_NVK, label_N, ensemble)
    before_NK, after_NK = (_scores(logits_NVK, ensemble, value) for value in (1.0, temperature))
    best_N, right_N = after_NK.max(axis=1), after_NK.argmax(axis=1) == label_N
    if not right_N.any():
        raise EvaluationError("none of the videos is recognised rightly: nothing to calibrate on")
    unknown_N = _scores(unknown_VK, ensemble, temperature).max(axis=1) if len(unknown_VK) else None
    if unknown_N is None:
        threshold = float(np.quantile(best_N[right_N], 1 - keep, method="lower"))
    else:
        threshold = separating_threshold(best_N[right_N], unknown_N)
    accepted_N = best_N >= threshold
    calibration = Calibration(
        temperature=temperature,
        threshold=threshold,
        ece_before=calibration_error(before_NK, label_N),
        ece_after=calibration_error(after_NK, label_N),
        list_hash=list_hash,
    )
    return Fit(
        calibration,
        nll_before=_nll(before_NK, label_N),
        nll_after=_nll(after_NK, label_N),
        accepted=float(accepted_N.mean()),
        accuracy_of_accepted=float(right_N[accepted_N].mean()) if accepted_N.any() else float("nan"),
        unknown_rejected=None if unknown_N is None else float((unknown_N < threshold).mean()),
    )


def calibration_error(score_NK: NDArray[np.floating], label_N: NDArray[np.int64], *, bins: int = _BINS) -> float:
    """Expected calibration error, from 0 to 1 (Guo et al., 2017).

    Videos are put in bins of equal width by their highest score; the error is |accuracy - mean highest score| of each
    bin, averaged with the bins' numbers of videos as weights.

    Args:
        score_NK: of the videos, each row summing to 1.
        label_N: the right classes.
        bins: how many.
    """
    best_N, right_N = score_NK.max(axis=1), score_NK.argmax(axis=1) == label_N
    bin_N = np.clip(np.ceil(best_N * bins).astype(int) - 1, 0, bins - 1)  # (0, 1/bins], (1/bins, 2/bins], ...
    gaps = [abs(float(right_N[bin_N == n].sum() - best_N[bin_N == n].sum())) for n in range(bins)]
    return sum(gaps) / len(label_N)


def separating_threshold(known_N: NDArray[np.floating], unknown_N: NDArray[np.floating]) -> float:
    """The threshold with the largest mean of two shares: of `known_N` at or above it, and of `unknown_N` below it."""
    candidates = np.unique(np.concatenate([known_N, unknown_N]))
    kept = (known_N[None] >= candidates[:, None]).mean(axis=1)
    rejected = (unknown_N[None] < candidates[:, None]).mean(axis=1)
    return float(candidates[np.argmax(kept + rejected)])


def _fit_temperature(logits_NVK: Sequence[Tensor], label_N: NDArray[np.int64], ensemble: str) -> float:
    def cost(log_temperature: float) -> float:
        return _nll(_scores(logits_NVK, ensemble, float(np.exp(log_temperature))), label_N)

    return float(np.exp(minimize_scalar(cost, bounds=_LOG_TEMPERATURES, method="bounded", options={"xatol": 1e-4}).x))


def _scores(logits_NVK: Sequence[Tensor], ensemble: str, temperature: float) -> NDArray[np.float32]:
    return np.stack([combined_scores(logits_VK, ensemble, temperature) for logits_VK in logits_NVK])


def _nll(score_NK: NDArray[np.floating], label_N: NDArray[np.int64]) -> float:
    right_N = score_NK[np.arange(len(label_N)), label_N].astype(np.float64)
    return float(-np.log(np.maximum(right_N, 1e-12)).mean())
