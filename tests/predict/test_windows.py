import pytest
import torch

from pytorchvideo_autox3d.data import open_video
from pytorchvideo_autox3d.data.frame_stream import FrameStream
from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.predict.video_clips import Views, read_clips
from pytorchvideo_autox3d.predict.windows import Windows, window_clips
from tests.predict.conftest import CLIP, write_grey


@pytest.mark.parametrize("stride", [None, 0.1, 0.25, 0.55, 3.0])
def test_every_window_is_what_reading_by_number_gives(ramp, stride):
    with FrameStream(str(ramp)) as video:
        windows = Windows.over(video.metadata(), CLIP, stride=stride)
        clips = list(window_clips(video, CLIP, windows))
    # A clip spans 8 of 40 frames; it may start at any multiple of the stride up to frame 32.
    frames = 4 if stride is None else 10 * stride
    assert len(clips) == len(windows) == 1 + int(32 / frames + 1e-9)
    with open_video(str(ramp)) as video:
        for number, clip_CTHW in enumerate(clips):
            first = number * frames
            # Evenly over the 8 frames from `first` on, both ends included, truncated.
            expected = video.read([int(first + step * 7 / 3 + 1e-6) for step in range(4)], short_side=16)
            assert torch.equal(clip_CTHW, expected.transpose(0, 1)), number
            assert windows.seconds(number)[0] == pytest.approx(first / 10)


def test_the_first_window_is_a_tests_first_view(ramp):
    with FrameStream(str(ramp)) as video:
        first = next(window_clips(video, CLIP, Windows.over(video.metadata(), CLIP)))
    with open_video(str(ramp)) as video:
        assert torch.equal(first, read_clips(video, CLIP, Views(2, 1)).clip_VCTHW[0])


def test_a_video_shorter_than_a_clip_is_one_window(tmp_path):
    path = write_grey(tmp_path / "short.mp4", [10, 200])
    with FrameStream(str(path)) as video:
        windows = Windows.over(video.metadata(), CLIP)
        (clip_CTHW,) = window_clips(video, CLIP, windows)
    assert [round(level, -1) for level in clip_CTHW[0, :, 8, 8].tolist()] == [10, 200, 200, 200]
    assert windows.seconds(0) == (0.0, 0.2)


def test_a_stride_of_nothing_is_refused(ramp):
    with FrameStream(str(ramp)) as video, pytest.raises(ConfigError, match="stride"):
        Windows.over(video.metadata(), CLIP, stride=0.0)
