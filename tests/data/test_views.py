import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.data.views import (
    CENTER,
    LEFT,
    RIGHT,
    View,
    center_view,
    clip_span,
    crop_offset,
    crops,
    frame_indices,
    random_view,
    scaled_size,
    uniform_views,
)


def test_x3d_s_clip_of_a_300_frame_video():
    # 13 frames, every 6th at 30 fps: 78 frames; starts 0, 22.2, 44.4, ... of the 222 possible.
    span = clip_span(13, 6, 30, 30)
    assert span == 78
    views = uniform_views(300, span, num_clips=10, num_crops=3)
    assert len(views) == 30
    assert [view.crop for view in views[:3]] == [LEFT, CENTER, RIGHT]
    assert [views[3 * clip].start for clip in (0, 1, 9)] == pytest.approx([0, 22.2, 199.8])
    # 77 / 12 frames apart: 0, 6.42, 12.83, ..., 77
    assert frame_indices(views[0], 13, 300) == [0, 6, 12, 19, 25, 32, 38, 44, 51, 57, 64, 70, 77]
    assert frame_indices(views[27], 13, 300)[-1] == 276


@pytest.mark.parametrize(("fps", "expected"), [(30, 16.0), (15, 8.0), (60, 32.0), (29.97, 16 * 29.97 / 30), (0.5, 1.0)])
def test_a_clip_spans_the_same_time_at_any_rate(fps, expected):
    assert clip_span(8, 2, 30, fps) == pytest.approx(expected)


def test_short_videos_repeat_their_last_frame():
    span = clip_span(8, 4, 30, 30)
    for view in uniform_views(5, span, num_clips=3, num_crops=1):
        assert frame_indices(view, 8, 5) == [0, 4, 4, 4, 4, 4, 4, 4]
    assert frame_indices(random_view(1, span, torch.Generator()), 8, 1) == [0] * 8


def test_center_view_is_in_the_middle():
    view = center_view(100, 40.0)
    assert (view.start, view.end, view.crop) == (30.0, 69.0, CENTER)
    assert center_view(10, 40.0).start == 0


def test_random_views_cover_all_starts_evenly():
    generator = torch.Generator().manual_seed(0)
    starts = [random_view(110, 10.0, generator).start for _ in range(2000)]
    assert min(starts) < 1
    assert max(starts) > 99
    assert sum(starts) / len(starts) == pytest.approx(50, abs=2)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 4000),
    st.integers(1, 32),
    st.integers(1, 12),
    st.sampled_from([10, 23.976, 30, 60]),
    st.integers(0, 99),
)
def test_indices_ascend_inside_the_video(video_frames, num_frames, rate, fps, seed):
    span = clip_span(num_frames, rate, 30, fps)
    views = [random_view(video_frames, span, torch.Generator().manual_seed(seed))]
    views += uniform_views(video_frames, span, num_clips=4, num_crops=1)
    for view in views:
        indices = frame_indices(view, num_frames, video_frames)
        assert len(indices) == num_frames
        assert indices == sorted(indices)
        assert indices[0] >= 0
        assert indices[-1] <= video_frames - 1


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 500), st.integers(1, 300), st.integers(2, 32))
def test_indices_are_an_even_spread_truncated(start, length, num_frames):
    step = Fraction(length, num_frames - 1)
    exact = [start + step * n for n in range(num_frames)]
    got = frame_indices(View(float(start), float(start + length)), num_frames, 10_000)
    for index, position in zip(got, exact, strict=True):
        near_whole = abs(position - round(position)) < Fraction(1, 1000)  # where float32 may truncate either way
        assert index == math.floor(position) or near_whole


@pytest.mark.parametrize(
    ("size", "short", "expected"),
    [
        ((240, 320), 182, (182, 242)),
        ((320, 240), 182, (242, 182)),
        ((100, 100), 64, (64, 64)),
        ((272, 640), 160, (160, 376)),
    ],
)
def test_scaled_size(size, short, expected):
    assert scaled_size(*size, short) == expected


@pytest.mark.parametrize(
    ("size", "crop", "expected"),
    [
        ((182, 242), LEFT, (0, 0)),
        ((182, 242), CENTER, (0, 30)),
        ((182, 242), RIGHT, (0, 60)),
        ((242, 182), LEFT, (0, 0)),
        ((242, 182), CENTER, (30, 0)),
        ((242, 182), RIGHT, (60, 0)),
        ((190, 245), CENTER, (4, 32)),  # halves round up, as in PySlowFast
        ((190, 245), RIGHT, (4, 63)),
    ],
)
def test_left_center_right_along_the_longer_side(size, crop, expected):
    assert crop_offset(*size, 182, crop) == expected


def test_number_of_crops():
    assert crops(1) == (CENTER,)
    with pytest.raises(ValueError, match="num_crops is 2"):
        crops(2)
