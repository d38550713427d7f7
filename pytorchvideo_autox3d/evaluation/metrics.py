"""Classification metrics over whole test sets. Shapes: N videos, K classes. Accuracies are in percent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pytorchvideo_autox3d.errors import EvaluationError


def topk_accuracy(scores_NK: NDArray[np.floating], label_N: NDArray[np.integer], k: int) -> float:
    """Percentage of videos whose label is among the k highest scores.

    k is clipped to the number of classes. Among equal scores the lower class comes first, so a constant score counts as
    a guess of class 0, not as a hit.

    Raises:
        EvaluationError: the shapes are not (N, K) and (N,), or there are no videos.
    """
    _check(scores_NK, label_N)
    order_NK = np.argsort(-scores_NK, axis=1, kind="stable")[:, : min(k, scores_NK.shape[1])]
    return float(100.0 * (order_NK == label_N[:, None]).any(axis=1).mean())


def confusion_matrix(
    predicted_N: NDArray[np.integer], label_N: NDArray[np.integer], num_classes: int
) -> NDArray[np.int64]:
    """Counts (K, K): row, the true class; column, the predicted one."""
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (label_N, predicted_N), 1)
    return counts


def per_class_accuracy(confusion_KK: NDArray[np.int64]) -> NDArray[np.float64]:
    """Top-1 of each class in percent, from the confusion matrix; nan for a class without videos."""
    videos_K = confusion_KK.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return 100.0 * np.diag(confusion_KK) / videos_K


def _check(scores_NK: NDArray[np.floating], label_N: NDArray[np.integer]) -> None:
    if scores_NK.ndim != 2 or label_N.shape != scores_NK.shape[:1]:
        raise EvaluationError(f"scores {scores_NK.shape} and labels {label_N.shape} are not (N, K) and (N,)")
    if len(label_N) == 0:
        raise EvaluationError("no scores to measure: the test set is empty")
