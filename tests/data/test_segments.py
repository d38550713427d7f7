"""Frames from equal segments of a video: against PySlowFast's rule restated, and as a data set takes them."""

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.data import Kinetics
from pytorchvideo_autox3d.data.segments import segment_frames, segment_views
from pytorchvideo_autox3d.errors import DataError


def reference(video_frames, num_frames, draw=None):
    """PySlowFast's sampling, restated: T segments by rounding, any frame of each or the middle one."""
    size = float(video_frames - 1) / num_frames
    bounds = [(int(np.round(size * i)), int(np.round(size * (i + 1)))) for i in range(num_frames)]
    return bounds, [(start + end) // 2 for start, end in bounds]


@pytest.mark.parametrize("video_frames", [1, 5, 13, 27, 40, 41, 117, 300])
@pytest.mark.parametrize("num_frames", [4, 13, 16])
def test_segments_are_those_of_pyslowfast(video_frames, num_frames):
    bounds, middle = reference(video_frames, num_frames)
    assert segment_frames(video_frames, num_frames) == middle
    generator = torch.Generator().manual_seed(0)
    drawn = [segment_frames(video_frames, num_frames, generator=generator) for _ in range(200)]
    for position, (start, end) in enumerate(bounds):
        seen = {numbers[position] for numbers in drawn}
        assert seen <= set(range(start, end + 1))
        if end - start < 9:
            assert seen == set(range(start, end + 1))


@pytest.mark.parametrize("video_frames", [20, 27, 40, 53, 117])
@pytest.mark.parametrize("num_frames", [8, 13, 16])
def test_the_clips_of_a_test_differ(video_frames, num_frames):
    clips = [segment_frames(video_frames, num_frames, clip=clip, num_clips=10) for clip in range(10)]
    bounds, _ = reference(video_frames, num_frames)
    different = len({tuple(numbers) for numbers in clips})
    assert different >= (10 if video_frames >= 3 * num_frames else 9 if video_frames >= 2 * num_frames else 1)
    for numbers in clips:
        assert numbers == sorted(numbers)
        assert all(start <= n <= end for n, (start, end) in zip(numbers, bounds, strict=True))


def test_crops_of_a_clip_take_the_same_frames():
    views, numbers = segment_views(60, 4, num_clips=2, num_crops=3)
    assert [view.crop for view in views] == [0, 1, 2] * 2
    assert numbers[0] == numbers[1] == numbers[2] == segment_frames(60, 4, clip=0, num_clips=2)
    assert numbers[3] == segment_frames(60, 4, clip=1, num_clips=2)


@pytest.fixture
def make(video_list):
    def build(mode, **arguments):
        return Kinetics(
            manifest=str(video_list), path_prefix=str(video_list.parent), mode=mode, num_frames=4, sampling_rate=2,
            crop_size=24, jitter_scales=(24, 32), frame_sampling="segments", **arguments,
        )  # fmt: skip

    return build


def test_a_list_of_videos_read_by_segments(make, monkeypatch):
    from pytorchvideo_autox3d.data.pyav_reader import PyAVReader

    reads = []
    original = PyAVReader.read
    monkeypatch.setattr(
        PyAVReader, "read", lambda self, frames, **kw: reads.append(list(frames)) or original(self, frames, **kw)
    )
    # 60 frames in four segments: bounds 0, 15, 30, 44, 59, rounded as numpy rounds halves.
    assert make("val")[1].clip_BCTHW.shape == (1, 3, 4, 24, 24)
    assert reads[-1] == [7, 22, 37, 51]
    dataset = make("train")
    dataset[1]
    first = reads[-1]
    assert all(low <= n <= high for n, low, high in zip(first, (0, 15, 30, 44), (15, 30, 44, 59), strict=True))
    dataset.set_epoch(1)
    dataset[1]
    assert reads[-1] != first
    assert make("test", num_clips=3, num_crops=3)[2].clip_BCTHW.shape == (9, 3, 4, 24, 24)


def test_an_unknown_sampling_is_refused():
    with pytest.raises(DataError, match="frame_sampling is 'dense', expected one of clip, segments"):
        Kinetics.sampling("dense")
    assert Kinetics.sampling() == "clip"
