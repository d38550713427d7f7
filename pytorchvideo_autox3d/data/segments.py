"""Frames from T equal segments of a video (TSN, Wang et al., ECCV 2016), as networks of frames and Something-Something
take them, in place of a clip of neighbouring frames.
"""

from __future__ import annotations

import torch

from pytorchvideo_autox3d.data.views import View, crops

# Irrational, so that the places taken differ from segment to segment whatever their length: see `segment_frames`.
_GOLDEN = 0.6180339887498949


def segment_frames(
    video_frames: int,
    num_frames: int,
    *,
    generator: torch.Generator | None = None,
    clip: int = 0,
    num_clips: int = 1,
) -> list[int]:
    """One frame of each of `num_frames` equal segments of a video, in order.

    With a generator, a frame is drawn uniformly from each segment. Without, clip c of n takes the frame at
    (c + 1/2) / n of the segment, moved on by a part of a frame that changes from segment to segment, so that clips
    differ even where a segment has fewer frames than there are clips. A single clip takes the middle, rounded down.

    Args:
        video_frames: number of frames of the video.
        num_frames: T, the number of segments.
        generator: draws the frames; None chooses them as above.
        clip, num_clips: c and n.
    """
    size = (video_frames - 1) / num_frames
    numbers = []
    for segment in range(num_frames):
        start, end = round(size * segment), round(size * (segment + 1))
        if generator is not None:
            numbers.append(start + int(torch.randint(end - start + 1, (), generator=generator)))
        elif num_clips == 1:
            numbers.append((start + end) // 2)
        else:
            length = end - start + 1
            place = (clip + 0.5) / num_clips * length + segment * _GOLDEN % 1
            numbers.append(start + int(place) % length)
    return numbers


def segment_views(
    video_frames: int, num_frames: int, *, num_clips: int, num_crops: int
) -> tuple[list[View], list[list[int]]]:
    """All views of a test, each over the whole video, and the T frame numbers of each; a clip's crops are neighbours.

    Args:
        video_frames: frames of the video.
        num_frames: T, the segments.
        num_clips, num_crops: clips of a video, and crops of a clip.
    """
    views, numbers = [], []
    for clip in range(num_clips):
        taken = segment_frames(video_frames, num_frames, clip=clip, num_clips=num_clips)
        for crop in crops(num_crops):
            views.append(View(0, video_frames - 1, crop))
            numbers.append(taken)
    return views, numbers
