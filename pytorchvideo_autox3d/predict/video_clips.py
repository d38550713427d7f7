"""A video's views as clips, from one decode of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import Tensor

from pytorchvideo_autox3d.data import VideoReader, assemble_views
from pytorchvideo_autox3d.data.segments import segment_views
from pytorchvideo_autox3d.data.video_metadata import VideoMetadata
from pytorchvideo_autox3d.data.views import View, center_view, clip_span, crops, frame_indices, uniform_views
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.models import Preprocessing


@dataclass(frozen=True)
class Views:
    """How many clips are taken of a video, and how many crops of each.

    A single clip is in the middle of the video; several start at even distances, as in a test. A single crop is the
    centre; three are left, centre and right.

    Args:
        num_clips: at least 1.
        num_crops: 1 or 3.
    Raises:
        ConfigError: a number is another.
    """

    num_clips: int
    num_crops: int

    def __post_init__(self) -> None:
        if self.num_clips < 1 or self.num_crops not in (1, 3):
            raise ConfigError(f"views: {self}: expected 1 or more clips x 1 or 3 crops, as in 10x3")

    def __str__(self) -> str:
        return f"{self.num_clips}x{self.num_crops}"

    @classmethod
    def parse(cls, text: str) -> Views:
        """Read "1", "3x1" or "10x3": clips x crops, one crop where none is given.

        Raises:
            ConfigError: the text is of another form.
        """
        match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
        if not match:
            raise ConfigError(f"views: {text!r}: expected clips x crops, as in 1, 3x1 or 10x3")
        return cls(int(match[1]), int(match[2] or 1))

    def of(self, video_frames: int, span: float) -> list[View]:
        """List the views of a video; those of one clip follow one another.

        Args:
            video_frames: frames of the video.
            span: frames of the video that a clip spans.
        """
        if self.num_clips > 1:
            return uniform_views(video_frames, span, num_clips=self.num_clips, num_crops=self.num_crops)
        middle = center_view(video_frames, span)
        return [View(middle.start, middle.end, crop) for crop in crops(self.num_crops)]


@dataclass(frozen=True)
class VideoClips:
    """All views of one video.

    Attributes:
        clip_VCTHW: uint8.
        spans: (start, end) of each view in seconds of the video.
    """

    clip_VCTHW: Tensor
    spans: tuple[tuple[float, float], ...]

    def __len__(self) -> int:
        return len(self.spans)


def read_clips(video: VideoReader, preprocessing: Preprocessing, views: Views) -> VideoClips:
    """Decode a video's views in one pass.

    Args:
        video: an open reader.
        preprocessing: how a clip is made.
        views: which clips and crops are taken.
    Raises:
        DecodeError: the video can't be read; names the file and the cause.
    """
    found = video.metadata()
    chosen, numbers = _sampled(found, preprocessing, views)
    needed = sorted({number for clip in numbers for number in clip})
    frames_NCHW = video.read(needed, short_side=preprocessing.short_side_for(views.num_crops))
    place = {number: n for n, number in enumerate(needed)}
    rows = [[place[number] for number in clip] for clip in numbers]
    clips_VTCHW = assemble_views(frames_NCHW, rows, chosen, preprocessing.crop_size)
    last = found.num_frames / found.fps
    spans = tuple((view.start / found.fps, min(last, (view.end + 1) / found.fps)) for view in chosen)
    return VideoClips(clips_VTCHW.transpose(1, 2), spans)


def _sampled(found: VideoMetadata, preprocessing: Preprocessing, views: Views) -> tuple[list[View], list[list[int]]]:
    """The views of a video, and the T frame numbers of each."""
    if preprocessing.frame_sampling == "segments":
        return segment_views(
            found.num_frames, preprocessing.num_frames, num_clips=views.num_clips, num_crops=views.num_crops
        )
    span = clip_span(preprocessing.num_frames, preprocessing.sampling_rate, preprocessing.fps, found.fps)
    chosen = views.of(found.num_frames, span)
    return chosen, [frame_indices(view, preprocessing.num_frames, found.num_frames) for view in chosen]
