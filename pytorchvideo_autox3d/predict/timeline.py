"""What a long video shows at which time: scores of sliding windows, smoothed to segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.predict.prediction import Top, top_of
from pytorchvideo_autox3d.predict.recognizer import Recognizer, Video
from pytorchvideo_autox3d.predict.segments import Segment, segments_of
from pytorchvideo_autox3d.predict.windows import Windows, window_clips


@dataclass(frozen=True, eq=False)
class Timeline:
    """Scores of a video over time.

    Attributes:
        video: its path.
        duration: in seconds.
        labels: the K names.
        windows: start and end of each of the N windows, in seconds.
        score_NK: the windows' scores.
        segments: what they are smoothed to.
        top: the classes of highest mean score over the whole video.
    """

    video: str
    duration: float
    labels: tuple[str, ...]
    windows: tuple[tuple[float, float], ...]
    score_NK: NDArray[np.float32]
    segments: tuple[Segment, ...]
    top: Top

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: video, top ([label, score] pairs), duration, segments (start, end, label, score)."""
        segments = [
            {"start": round(one.start, 3), "end": round(one.end, 3), "label": one.label, "score": round(one.score, 6)}
            for one in self.segments
        ]
        top = [[label, round(score, 6)] for label, score in self.top]
        return {"video": self.video, "top": top, "duration": round(self.duration, 3), "segments": segments}


def read_timeline(
    recognizer: Recognizer,
    video: Video,
    *,
    stride: float | None = None,
    min_seconds: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Timeline:
    """Score a video from its beginning to its end, with one decode and memory that does not grow with its length.

    Args:
        recognizer: whose clips are taken, at the centre crop.
        video: a file's path, or uint8 frames as of a call of the recognizer.
        stride: seconds between the starts of two clips; by default half a clip.
        min_seconds: how long a class must last to be a segment, where its score is full; see `segments_of`.
        progress: told (windows done, windows in all).
    Raises:
        DecodeError: the video can't be read; names the file and the frame.
        DataError: the array is of another type or shape.
        ConfigError: an argument is out of range, or the network sees optical flow.
    """
    if recognizer.modality != "rgb":
        raise ConfigError(f"segments: the network sees {recognizer.modality}, sliding windows are of rgb alone")
    if not min_seconds >= 0:
        raise ConfigError(f"min_seconds: {min_seconds:g}, expected 0 or more")
    with recognizer.stream(video) as source:
        found = source.metadata()
        windows = Windows.over(found, recognizer.card.preprocessing, stride=stride)
        clips = window_clips(source, recognizer.card.preprocessing, windows)
        # Whole from the start: small arrays that stay, each beside large ones that go, would fragment the memory.
        score_NK = np.empty((len(windows), recognizer.card.num_classes), np.float32)
        done = 0
        for batch in _batched(clips, recognizer.batch_size):
            score_NK[done : done + len(batch)] = recognizer.scores(batch)
            done += len(batch)
            if progress is not None:
                progress(done, len(windows))
    spans = tuple(windows.seconds(number) for number in range(len(windows)))
    threshold = recognizer.threshold
    segments = segments_of(
        score_NK, spans, recognizer.labels, duration=found.duration, min_seconds=min_seconds, threshold=threshold
    )
    top = top_of(score_NK.mean(axis=0), recognizer.labels, recognizer.top)
    return Timeline(recognizer.name_of(video), found.duration, recognizer.labels, spans, score_NK, tuple(segments), top)


def _batched(clips: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    while batch := list(islice(clips, size)):
        yield torch.stack(batch)
