"""The stream numbers frames as `read` does, whatever the container."""

import av
import pytest
import torch

from pytorchvideo_autox3d.data import open_video
from pytorchvideo_autox3d.data.frame_stream import FrameStream
from pytorchvideo_autox3d.errors import DecodeError


@pytest.mark.parametrize(
    ("name", "codec", "times"),
    [
        ("a.mp4", "libx264", None),
        ("a.mkv", "libx264", None),
        ("a.avi", "mpeg4", None),
        ("a.mkv", "libx264", [0, 40, 80, 300, 310, 320, 900, 940, 1000, 1500]),
    ],
)
def test_the_same_frames_as_by_number(tmp_path, make_video, name, codec, times):
    count = 30 if times is None else len(times)
    path = make_video(tmp_path / name, range(count), codec=codec, times=times)
    with open_video(str(path)) as video:
        total = video.metadata().num_frames
        expected = video.read(range(total), short_side=24)
    with FrameStream(str(path)) as video:
        found = list(video.frames(lambda number: True, short_side=24))
        assert [number for number, _ in found] == list(range(total))
        assert torch.equal(torch.stack([frame for _, frame in found]), expected)
        some = list(video.frames(lambda number: number % 7 == 3, short_side=24))
        assert [number for number, _ in some] == list(range(3, total, 7))
        assert torch.equal(torch.stack([frame for _, frame in some]), expected[3::7])


def test_a_truncated_video_is_named(tmp_path, make_video):
    # The length stands in the header of an mp4 with its index at the front; cut in the midst of the pictures.
    whole = make_video(tmp_path / "whole.mp4", range(60), gop=4)
    front = tmp_path / "front.mp4"
    with av.open(str(whole)) as source, av.open(str(front), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(front.read_bytes()[: int(0.7 * front.stat().st_size)])
    with FrameStream(str(cut)) as video, pytest.raises(DecodeError, match=r"cut\.mp4"):
        list(video.frames(lambda number: True))
