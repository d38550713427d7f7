"""PyTorchVideo's `LabeledVideoDataset`, with its clip samplers and transforms, over our readers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset
from pytorchvideo.data.video import Video

from pytorchvideo_autox3d.data.decode import open_video
from pytorchvideo_autox3d.errors import DataError


class ReaderVideo(Video):
    """PyTorchVideo's `Video`, decoded by one of our readers; it has no sound.

    Args:
        path: the file.
        reader: the name of the reader.
        num_frames: decode so many frames of a clip, evenly spread, in place of all: what `UniformTemporalSubsample`
            would keep, without decoding what it drops.
        short_side: scale while converting, in place of `ShortSideScale`.
    """

    def __init__(
        self, path: str, *, reader: str = "pyav", num_frames: int | None = None, short_side: int | None = None
    ) -> None:
        self.name = path
        self._num_frames, self._short_side = num_frames, short_side
        self._reader = open_video(path, reader=reader)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self._reader.metadata().duration

    def get_clip(self, start_sec: float, end_sec: float) -> dict[str, torch.Tensor | None]:
        """The frames shown from `start_sec` up to `end_sec`.

        Returns:
            {"video": float (C, T, H, W) in 0..255, "audio": None}. Where no frame lies between the two times, "video"
            is None, and the data set skips the clip.
        """
        found = self._reader.metadata()
        first = max(0, math.ceil(start_sec * found.fps - 1e-6))
        last = min(found.num_frames, math.ceil(end_sec * found.fps - 1e-6)) - 1
        if last < first:
            return {"video": None, "audio": None}
        numbers = list(range(first, last + 1))
        if self._num_frames is not None:
            numbers = torch.linspace(first, last, self._num_frames).long().tolist()
        frames_TCHW = self._reader.read(numbers, short_side=self._short_side)
        return {"video": frames_TCHW.transpose(0, 1).float(), "audio": None}

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


def _check_arguments(videos: Sequence[Any], clip_sampler: Any, num_frames: int | None, short_side: int | None) -> None:
    """Raise `DataError` naming the argument of `labeled_video_dataset` that no clip could be read with."""
    if len(videos) == 0:
        raise DataError("labeled_video_paths is empty, expected (path, {'label': ...}) pairs")
    for name, value in (("num_frames", num_frames), ("short_side", short_side)):
        if value is not None and (type(value) is not int or value < 1):
            raise DataError(f"{name} is {value!r}, expected a whole number of 1 or more, or None")
    # PyTorchVideo's samplers take any duration, and have no other place for it.
    duration = getattr(clip_sampler, "_clip_duration", None)
    if duration is not None and duration <= 0:
        raise DataError(f"clip_sampler has clips of {float(duration):g} seconds, expected more than 0")


class _Handler:
    """Takes the place of PyTorchVideo's `VideoPathHandler`, which opens videos by their paths."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments

    def video_from_path(self, filepath: str, **unused: Any) -> ReaderVideo:
        return ReaderVideo(filepath, **self._arguments)


def labeled_video_dataset(
    labeled_video_paths: Sequence[tuple[str, dict[str, Any]]],
    clip_sampler: Any,
    *,
    reader: str = "pyav",
    num_frames: int | None = None,
    short_side: int | None = None,
    **arguments: Any,
) -> LabeledVideoDataset:
    """PyTorchVideo's own data set (`video_sampler`, `transform` as there) whose videos are `ReaderVideo`s.

    Args:
        labeled_video_paths: (path, {"label": ...}) pairs, as PyTorchVideo's data set takes them.
        clip_sampler: one of PyTorchVideo's.
        reader: the name of the video reader.
        num_frames: decode so many frames of a clip, evenly spread; None decodes all.
        short_side: scale frames so while converting; None keeps their size.
        arguments: further ones of `LabeledVideoDataset`.

    Raises:
        DataError: there are no videos, or an argument is out of range; names it.
    """
    _check_arguments(labeled_video_paths, clip_sampler, num_frames, short_side)
    dataset = LabeledVideoDataset(labeled_video_paths, clip_sampler, decode_audio=False, **arguments)
    dataset.video_path_handler = _Handler({"reader": reader, "num_frames": num_frames, "short_side": short_side})
    return dataset
