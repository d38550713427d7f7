import os
import random

import av
import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.data import open_video
from pytorchvideo_autox3d.errors import DataError, DecodeError


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "libx264"), ("a.ts", "libx264"), ("a.mov", "libx264"),
        ("a.webm", "libvpx-vp9"), ("b.webm", "libvpx"), ("b.avi", "mpeg4"), ("b.mp4", "mpeg4"), ("a.h264", "libx264"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("gop", [12, 250])
def test_every_frame_number_in_every_container(tmp_path, make_video, number_of, name, codec, gop):
    path = make_video(tmp_path / name, range(60), codec=codec, gop=gop)
    draw = random.Random(0)
    with open_video(str(path)) as video:
        assert video.metadata().num_frames == 60
        if path.suffix != ".h264":
            assert video.metadata().fps == pytest.approx(30, rel=1e-3)
        for asked in ([0], [59], [0, 59], [31], [40, 3, 3, 17], sorted(draw.sample(range(60), 13)), range(60)):
            frames = video.read(list(asked))
            assert frames.shape == (len(asked), 3, 48, 56)
            assert frames.dtype == torch.uint8
            assert [number_of(frame) for frame in frames] == list(asked)


def test_scaling_while_converting_equals_scaling_after(plain_video):
    with open_video(str(plain_video)) as video:
        small, large = video.read([7], short_side=24), video.read([7])
    assert small.shape == (1, 3, 24, 28)
    after = torch.nn.functional.interpolate(large.float(), size=(24, 28), mode="bilinear", antialias=True)
    noise = (small.float() - after).square().mean()
    assert 10 * torch.log10(255**2 / noise) > 30


def test_many_views_in_one_pass_over_the_packets(plain_video, monkeypatch):
    from pytorchvideo_autox3d.data import pyav_reader

    fed = []
    original = pyav_reader.plan_runs
    monkeypatch.setattr(pyav_reader, "plan_runs", lambda *args: fed.append(args[0]) or original(*args))
    with open_video(str(plain_video)) as video:
        video.read([*range(0, 30, 3), *range(10, 40, 3), *range(29, 59, 3)])
    assert len(fed) == 1
    assert len({packet.pts for packet in fed[0]}) == len(fed[0]) <= 60


@pytest.mark.parametrize(("name", "opened"), [("a.mp4", 1), ("a.h264", 2)])
def test_a_file_is_opened_again_only_when_it_was_read_from(tmp_path, make_video, number_of, monkeypatch, name, opened):
    """The packets of a stream without a header are read to be counted; then its start is behind."""
    from pytorchvideo_autox3d.data import pyav_reader

    path, opens = make_video(tmp_path / name, range(20)), []
    original = pyav_reader.open_container
    monkeypatch.setattr(pyav_reader, "open_container", lambda path: opens.append(path) or original(path))
    with open_video(str(path)) as video:
        assert video.metadata().num_frames == 20
        for more in (0, 1, 2):
            assert [number_of(frame) for frame in video.read([0, 5, 19])] == [0, 5, 19]
            assert len(opens) == opened + more


def test_only_the_needed_groups_are_decoded(tmp_path, make_video, monkeypatch):
    from pytorchvideo_autox3d.data import pyav_reader

    path = make_video(tmp_path / "a.mp4", range(100), gop=10, codec="mpeg4", options={"sc_threshold": "1000000000"})
    plans = []
    original = pyav_reader.plan_runs
    monkeypatch.setattr(pyav_reader, "plan_runs", lambda *args: plans.append(original(*args)) or plans[-1])
    with open_video(str(path)) as video:
        video.read([52, 93])
    assert sum(run.last - run.first + 1 for run in plans[0]) == 3 + 4


def test_variable_rate_follows_time(tmp_path, make_video, number_of):
    # 10 frames in the first second, then one that stays for a second, then 10 more in a second.
    times = [*range(0, 1000, 100), *range(2000, 3000, 100)]
    path = make_video(tmp_path / "vfr.mkv", range(20), times=times)
    with open_video(str(path)) as video:
        metadata = video.metadata()
        assert metadata.num_frames == 20
        assert metadata.fps == pytest.approx(19 / 2.9)
        shown = [number_of(frame) for frame in video.read(list(range(20)))]
    middles = [(n + 0.5) / metadata.fps * 1000 for n in range(20)]
    assert shown == [max(i for i, time in enumerate(times) if time <= middle) for middle in middles]


def test_sound_odd_sizes_and_upright_pictures(tmp_path, make_video, number_of):
    with open_video(str(make_video(tmp_path / "sound.mp4", range(30), sound=True))) as video:
        assert [number_of(frame) for frame in video.read([29, 4])] == [29, 4]
    odd = make_video(tmp_path / "odd.mp4", range(5), size=(45, 63))
    with open_video(str(odd)) as video:
        assert video.read([4]).shape == (1, 3, 45, 63)
        assert video.read([4], short_side=31).shape == (1, 3, 31, 43)
    turned = make_video(tmp_path / "turned.mp4", range(5), rotation=90)
    with open_video(str(turned)) as video:
        upright = video.read([3])
        assert upright.shape == (1, 3, 56, 48)
        # The stored picture turned anticlockwise has its left edge at the bottom: undo, and the bars read as stored.
        assert number_of(torch.rot90(upright[0], -1, dims=(1, 2))) == 3


@pytest.mark.parametrize("name", ["bigbuckbunny", "bikes", "carphone_pristine"])
def test_real_footage_equals_decoding_everything(real_footage, name):
    with av.open(real_footage[name]) as container:
        truth = {
            n: f.to_ndarray(format="rgb24") for n, f in enumerate(container.decode(video=0)) if n in (0, 37, 90, 119)
        }
    with open_video(real_footage[name]) as video:
        frames = video.read(sorted(truth))
    for frame, number in zip(frames, sorted(truth), strict=True):
        difference = frame.permute(1, 2, 0).numpy().astype(int) - truth[number]
        assert np.abs(difference).max() <= 2


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts handles in /proc")
def test_no_handle_outlives_a_reader(plain_video, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(plain_video.read_bytes()[:2000])
    before = open_files()
    for _ in range(5):
        with open_video(str(plain_video)) as video:
            video.read([3])
        with pytest.raises(DecodeError), open_video(str(broken)) as video:
            video.read([0])
    assert open_files() == before


class TestFaults:
    def fails(self, path, message, frames=(0, 40)):
        with pytest.raises(DecodeError, match=message) as caught, open_video(str(path)) as video:
            video.metadata()
            video.read(list(frames))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_missing(self, tmp_path):
        self.fails(tmp_path / "nowhere.mp4", "no such file")

    @pytest.mark.parametrize("content", [b"", b"no video at all\n" * 50])
    def test_not_a_video(self, tmp_path, content):
        path = tmp_path / "text.mp4"
        path.write_bytes(content)
        self.fails(path, "not a readable video")

    def test_folder(self, tmp_path):
        self.fails(tmp_path, "not a readable video")

    def test_no_video_stream(self, tmp_path):
        path = tmp_path / "tone.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=48000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 48000
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        self.fails(path, "has no video stream")

    def test_no_frames(self, tmp_path, make_video):
        self.fails(make_video(tmp_path / "empty.mkv", []), "no frames|not a readable video")

    def test_truncated_before_the_index(self, tmp_path, plain_video):
        path = tmp_path / "cut.mp4"
        path.write_bytes(plain_video.read_bytes()[:3000])
        self.fails(path, "not a readable video")

    def test_truncated_after_the_index(self, tmp_path, plain_video):
        whole = tmp_path / "whole.mp4"
        with av.open(str(plain_video)) as source, av.open(str(whole), "w", options={"movflags": "faststart"}) as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
        path = tmp_path / "cut.mp4"
        path.write_bytes(whole.read_bytes()[: int(0.6 * whole.stat().st_size)])
        self.fails(path, "truncated|can't", frames=(0, 59))

    def test_unknown_reader(self, plain_video):
        with pytest.raises(DataError, match="no video reader named 'cinema'; known: pyav"):
            open_video(str(plain_video), reader="cinema")
