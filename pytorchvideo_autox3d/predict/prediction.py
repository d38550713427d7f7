"""The scores of a video, and the classes that they speak for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Top = tuple[tuple[str, float], ...]
"""(label, score) pairs, the highest score first."""


def top_of(score_K: NDArray[np.floating], labels: tuple[str, ...], count: int) -> Top:
    """The `count` highest scores with their labels; among equal scores the class of the lower number first."""
    order = np.argsort(-score_K, kind="stable")[:count]
    return tuple((labels[number], float(score_K[number])) for number in order)


def combined_scores(logits_VK: Tensor, ensemble: str, temperature: float = 1.0) -> NDArray[np.float32]:
    """Combine the scores of a video's views.

    Args:
        logits_VK: of the views.
        ensemble: "sum" for the mean of their softmax, "max" for the largest.
        temperature: the logits are divided by it.
    Returns:
        Scores (K).
    """
    score_VK = (logits_VK / temperature).softmax(dim=1).numpy()
    if ensemble == "max":
        return score_VK.max(axis=0)
    return score_VK.mean(axis=0, dtype=np.float64).astype(np.float32)


@dataclass(frozen=True)
class ClipPrediction:
    """What one clip of a video shows, its crops combined.

    Attributes:
        start, end: seconds from the video's start.
        top: the classes of highest score.
    """

    start: float
    end: float
    top: Top


@dataclass(frozen=True, eq=False)
class Prediction:
    """Scores of one video.

    Attributes:
        video: its path, or how the caller called it.
        top: the classes of highest score, all views combined.
        clips: the same of every clip.
        score_K: the scores of all classes; they sum to one where views are averaged.
        rejected: whether the highest score is below the threshold of the model's calibration: none of these classes.
            None where the model has no such threshold.
    """

    video: str
    top: Top
    clips: tuple[ClipPrediction, ...]
    score_K: NDArray[np.float32]
    rejected: bool | None = None

    @property
    def label(self) -> str:
        """The class of highest score."""
        return self.top[0][0]

    @property
    def score(self) -> float:
        """The highest score."""
        return self.top[0][1]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: video, top ([label, score] pairs), whether it is rejected, clips (start, end, top)."""
        clips = [{"start": one.start, "end": one.end, "top": _pairs(one.top)} for one in self.clips]
        said = {} if self.rejected is None else {"rejected": self.rejected}
        return {"video": self.video, "top": _pairs(self.top), **said, "clips": clips}


def _pairs(top: Top) -> list[list[Any]]:
    return [[label, round(score, 6)] for label, score in top]
