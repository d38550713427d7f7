"""The frames and the part of the picture that a view of a video takes, as pure functions of numbers.

The rules are PySlowFast's, which X3D's and this paper's figures were measured under (its `datasets/decoder.py`):
a clip spans `num_frames * sampling_rate / target_fps` seconds; its T frames are spread evenly over the span's frames,
first and last included, truncated to whole frame numbers; numbers past the end stay on the last frame, so that a video
shorter than a clip repeats its last frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

LEFT, CENTER, RIGHT = 0, 1, 2
"""Crops along the longer side (LeftCenterRight, paper, supplement): in an upright video top, middle and bottom."""


@dataclass(frozen=True)
class View:
    """One clip at one crop.

    Attributes:
        start, end: the first and last frame of the clip, in frames of the video's own rate, not yet rounded; `end` may
            lie past the video.
        crop: LEFT, CENTER or RIGHT.
    """

    start: float
    end: float
    crop: int = CENTER


def clip_span(num_frames: int, sampling_rate: int, target_fps: float, video_fps: float) -> float:
    """The length of a clip, in frames of a video of `video_fps` frames a second; at least one frame.

    Args:
        num_frames: T, the frames of the clip.
        sampling_rate: every how many-th frame is taken, at `target_fps`.
        target_fps: frames a second that the sampling rate is for.
        video_fps: frames a second of the video.
    """
    return max(1.0, num_frames * sampling_rate / target_fps * video_fps)


def random_view(video_frames: int, span: float, generator: torch.Generator) -> View:
    """A training clip: its start is uniform over all starts that keep it inside the video."""
    start = float(torch.rand((), generator=generator, dtype=torch.float64)) * max(video_frames - span, 0.0)
    return View(start, start + span - 1)


def center_view(video_frames: int, span: float) -> View:
    """The clip in the middle of the video, centre crop; used for validation."""
    start = max(video_frames - span, 0.0) / 2
    return View(start, start + span - 1)


def uniform_views(video_frames: int, span: float, *, num_clips: int, num_crops: int) -> list[View]:
    """All views of a test: clip i of n starts at i/n of the last possible start; each at `num_crops` crops.

    View number v is clip v // num_crops at crop v % num_crops. One crop is the centre; a single clip starts at 0, as
    it does in PySlowFast.
    """
    room = max(video_frames - span, 0.0)
    starts = [room * clip / num_clips for clip in range(num_clips)]
    return [View(start, start + span - 1, crop) for start in starts for crop in crops(num_crops)]


def crops(num_crops: int) -> tuple[int, ...]:
    """The crops of a test: the centre alone, or left, centre and right.

    Raises:
        ValueError: `num_crops` is neither 1 nor 3.
    """
    if num_crops not in (1, 3):
        raise ValueError(f"num_crops is {num_crops}, expected 1 or 3")
    return (CENTER,) if num_crops == 1 else (LEFT, CENTER, RIGHT)


def frame_indices(view: View, num_frames: int, video_frames: int) -> list[int]:
    """The T frame numbers of a view, none above the video's last."""
    # In float32, as the reference does it: whole numbers must truncate the same way.
    spread = torch.linspace(view.start, view.end, num_frames)
    return [int(index) for index in spread.clamp(0, video_frames - 1).tolist()]


def scaled_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) with the shorter side at `short_side` and the same aspect, the longer side rounded down."""
    if width <= height:
        return max(short_side, height * short_side // width), short_side
    return short_side, max(short_side, width * short_side // height)


def crop_offset(height: int, width: int, size: int, crop: int) -> tuple[int, int]:
    """(top, left) of a `size` square: centred across the shorter side, at `crop` along the longer one."""
    top, left = (height - size + 1) // 2, (width - size + 1) // 2
    if crop == CENTER:
        return top, left
    last = crop == RIGHT
    if height > width:
        return (height - size if last else 0), left
    return top, (width - size if last else 0)
