"""A list of videos, each as a record (plain data), with the pictures and films that go with it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pytorchvideo_autox3d.errors import DecodeError
from pytorchvideo_autox3d.predict.annotate import Caption, annotate_video
from pytorchvideo_autox3d.predict.output import NONE_OF_THESE
from pytorchvideo_autox3d.predict.prediction import Prediction
from pytorchvideo_autox3d.predict.recognizer import Recognizer
from pytorchvideo_autox3d.predict.timeline import Timeline, read_timeline

Fault = Callable[[Any, DecodeError], None]
Progress = Callable[[str, int, int], None]
"""(video, windows done, windows in all)."""


@dataclass(frozen=True)
class SegmentOptions:
    """How timelines are made.

    Attributes:
        stride, min_seconds: as of `read_timeline`.
        pictures: the folder for drawn timelines, or None for none.
    """

    stride: float | None = None
    min_seconds: float = 1.0
    pictures: Path | None = None


def view_records(
    recognizer: Recognizer, videos: Sequence[str], *, films: Path | None, on_fault: Fault | None
) -> Iterator[dict[str, Any]]:
    """The prediction of each video as a record, plain data.

    Args:
        recognizer: what predicts.
        videos: their paths.
        films: the folder for annotated copies, or None for none.
        on_fault: told of a video that can't be read, which is then left out; None raises the error.
    Raises:
        DecodeError: a video can't be read, and there is no `on_fault`.
    """
    names = unique_names(videos)
    for prediction in recognizer.predict(videos, on_fault=on_fault):
        if films is not None:
            annotate_video(
                recognizer.stream(prediction.video),
                films / f"{names[prediction.video]}.mp4",
                _caption_of_all(prediction),
            )
        yield prediction.to_dict()


def segment_records(
    recognizer: Recognizer,
    videos: Sequence[str],
    options: SegmentOptions,
    *,
    films: Path | None,
    on_fault: Fault | None,
    progress: Progress,
) -> Iterator[dict[str, Any]]:
    """The timeline of each video as a record, plain data.

    Args:
        recognizer, videos, films, on_fault: as of `view_records`.
        options: how timelines are made.
        progress: told how far each video is.
    Raises:
        DecodeError: a video can't be read, and there is no `on_fault`.
    """
    from pytorchvideo_autox3d.predict.timeline_picture import draw_timeline
    from pytorchvideo_autox3d.report import save_figure

    names = unique_names(videos)
    for video in videos:
        try:
            timeline = read_timeline(
                recognizer,
                video,
                stride=options.stride,
                min_seconds=options.min_seconds,
                progress=partial(progress, video),
            )
        except DecodeError as error:
            if on_fault is None:
                raise
            on_fault(video, error)
            continue
        if options.pictures is not None:
            save_figure(options.pictures / f"{names[video]}.png", draw_timeline(timeline))
        if films is not None:
            annotate_video(recognizer.stream(video), films / f"{names[video]}.mp4", caption_of(timeline))
        yield timeline.to_dict()


def _caption_of_all(prediction: Prediction) -> Caption:
    """The video's one label at all times."""
    shown = NONE_OF_THESE if prediction.rejected else prediction.label, prediction.score
    return lambda time: shown


def caption_of(timeline: Timeline) -> Caption:
    """A caption that shows label and score of the segment at each time."""
    starts = [segment.start for segment in timeline.segments]

    def caption(time: float) -> tuple[str, float]:
        segment = timeline.segments[max(0, bisect_right(starts, time) - 1)]
        return segment.label, segment.score

    return caption


def unique_names(videos: Sequence[str], *, taken: Iterable[str] = ()) -> dict[str, str]:
    """A file name without suffix for each video: the video's own, with a number added where it is taken already."""
    names: dict[str, str] = {}
    taken = set(taken)
    for video in videos:
        stem = name = Path(video).stem
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        names[video] = name
    return names
