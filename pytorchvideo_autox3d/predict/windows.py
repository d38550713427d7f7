"""Clips over the whole length of a video, one after another, in memory that does not grow with the length."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from pytorchvideo_autox3d.data import VideoMetadata
from pytorchvideo_autox3d.data.frame_stream import FrameSource
from pytorchvideo_autox3d.data.views import CENTER, View, clip_span, crop_offset, frame_indices
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.models import Preprocessing


@dataclass(frozen=True)
class Windows:
    """Where the clips of a video start: every `stride` frames from the first, each `span` frames long, centre crop.

    Attributes:
        video: its length and rate.
        span: frames of the video that a clip spans.
        stride: frames between the starts of two clips.
        num_frames: T of a clip.
    """

    video: VideoMetadata
    span: float
    stride: float
    num_frames: int

    @classmethod
    def over(cls, video: VideoMetadata, clip: Preprocessing, *, stride: float | None = None) -> Windows:
        """Lay windows over a video.

        Args:
            video: its length and rate.
            clip: how a clip is made.
            stride: seconds between the starts of two clips; by default half a clip.
        Raises:
            ConfigError: the stride is no positive number.
        """
        seconds = clip.seconds / 2 if stride is None else stride
        if not (seconds > 0 and math.isfinite(seconds)):
            raise ConfigError(f"stride: {seconds:g} seconds, expected a positive number")
        span = clip_span(clip.num_frames, clip.sampling_rate, clip.fps, video.fps)
        return cls(video, span, max(1.0, seconds * video.fps), clip.num_frames)

    def __len__(self) -> int:
        return 1 + int(max(0.0, self.video.num_frames - self.span) / self.stride)

    def indices(self, number: int) -> list[int]:
        """The T frame numbers of window `number`, by the same rule as in a test."""
        start = number * self.stride
        return frame_indices(View(start, start + self.span - 1), self.num_frames, self.video.num_frames)

    def seconds(self, number: int) -> tuple[float, float]:
        """Start and end of window `number`, in seconds of the video."""
        start = number * self.stride
        return start / self.video.fps, min(start + self.span, self.video.num_frames) / self.video.fps


def window_clips(video: FrameSource, clip: Preprocessing, windows: Windows) -> Iterator[Tensor]:
    """The windows' clips in order, each uint8 clip_CTHW.

    The video is decoded once; frames are kept only as long as a later window needs them.

    Args:
        video: the frames in turn.
        clip: how a clip is made.
        windows: where the clips lie.
    Raises:
        DecodeError: a frame can't be decoded; names the file and the frame.
    """
    indices = lru_cache(maxsize=8 + int(windows.span / windows.stride))(windows.indices)
    kept: dict[int, Tensor] = {}
    done = 0

    def wanted(number: int) -> bool:
        """Whether any window that reaches over the frame takes it."""
        last = min(len(windows) - 1, int((number + 1) / windows.stride))  # a start is rounded down to a frame
        first = max(done, int((number - windows.span) / windows.stride))
        return any(number in indices(window) for window in range(first, last + 1))

    for number, frame_CHW in video.frames(wanted, short_side=clip.short_side):
        kept[number] = _cropped(frame_CHW, clip.crop_size)
        while done < len(windows) and indices(done)[-1] <= number:
            yield torch.stack([kept[index] for index in indices(done)], dim=1)
            done += 1
            if done < len(windows):
                for old in [index for index in kept if index < indices(done)[0]]:
                    del kept[old]


def _cropped(frame_CHW: Tensor, size: int) -> Tensor:
    height, width = frame_CHW.shape[-2:]
    top, left = crop_offset(height, width, size, CENTER)
    return frame_CHW[:, top : top + size, left : left + size].clone()
