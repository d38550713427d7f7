"""Scores over time as timed segments, smoothed so that a class changes only where the scores call for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytorchvideo_autox3d.predict.output import NONE_OF_THESE


@dataclass(frozen=True)
class Segment:
    """A stretch of a video with one label.

    Attributes:
        start, end: seconds from the video's start.
        label: the class.
        score: the mean of the class's scores over the segment's windows.
    """

    start: float
    end: float
    label: str
    score: float


def smoothest_path(score_NK: NDArray[np.floating], switch_cost: float) -> NDArray[np.int64]:
    """The classes (N) that maximise the sum of their scores less `switch_cost` for every change of class.

    Found exactly, by dynamic programming (Viterbi's algorithm with one cost for every change).
    """
    total_K = score_NK[0].astype(np.float64)
    came_from = np.zeros(score_NK.shape, dtype=np.int64)
    for number in range(1, len(score_NK)):
        best = int(total_K.argmax())
        stay_K = total_K >= total_K[best] - switch_cost
        came_from[number] = np.where(stay_K, np.arange(len(total_K)), best)
        total_K = np.where(stay_K, total_K, total_K[best] - switch_cost) + score_NK[number]
    path_N = np.empty(len(score_NK), dtype=np.int64)
    path_N[-1] = total_K.argmax()
    for number in range(len(score_NK) - 1, 0, -1):
        path_N[number - 1] = came_from[number, path_N[number]]
    return path_N


def segments_of(
    score_NK: NDArray[np.floating],
    windows: Sequence[tuple[float, float]],
    labels: Sequence[str],
    *,
    duration: float,
    min_seconds: float,
    threshold: float = 0.0,
) -> list[Segment]:
    """Smooth windows' scores to segments that follow one another over the whole video.

    Args:
        score_NK: of the windows, from 0 to 1.
        windows: start and end of each in seconds.
        labels: the K names.
        duration: of the video, in seconds.
        min_seconds: a class that scores 1 for less than this, between windows that score 1 for another, is smoothed
            away; a class that scores less must last longer.
        threshold: below this score a window is none of the classes.
    """
    best_N = score_NK.max(axis=1)
    none_N = best_N < threshold
    # A window that is rejected is sure to be none of them, another sure to be one.
    scored = np.concatenate([np.where(none_N[:, None], 0, score_NK), none_N[:, None]], axis=1)
    stride = (windows[-1][0] - windows[0][0]) / max(1, len(windows) - 1)
    # Two changes must cost what a full score earns in `min_seconds`.
    path_N = smoothest_path(scored, min_seconds / stride / 2 if stride > 0 else 0.0)
    bounds = [0, *(np.flatnonzero(np.diff(path_N)) + 1).tolist(), len(path_N)]
    # A change lies in the middle between the middles of the windows before and after it.
    middles = [(start + end) / 2 for start, end in windows]
    times = [0.0, *((middles[n - 1] + middles[n]) / 2 for n in bounds[1:-1]), duration]
    names = [*labels, NONE_OF_THESE]
    segments = []
    for first, last, start, end in zip(bounds, bounds[1:], times, times[1:], strict=False):
        label = int(path_N[first])
        scores = best_N[first:last] if label == len(labels) else score_NK[first:last, label]
        segments.append(Segment(start, end, names[label], float(scores.mean())))
    return segments
