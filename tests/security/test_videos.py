"""Files that say they are videos: lists of other files, sizes that fit no memory, names of other kinds.

`tests/data/test_fuzz.py` has five hundred mutated ones.
"""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from pytorchvideo_autox3d.data import open_video
from pytorchvideo_autox3d.data.tools.demo import encode_video
from tests.security.limits import HANDLED, limited


def decode(path: str) -> None:
    with open_video(path) as video:
        video.read([0, 1])


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "plain.mp4"
    encode_video(path, [np.full((32, 32, 3), 8 * n, np.uint8) for n in range(8)], fps=8)
    return path


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n",
    "hls of the network": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile {name}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/9\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".txt"])
def test_a_list_of_other_files_is_no_video(tmp_path, video, kind, suffix):
    (tmp_path / "plain.mp4").symlink_to(video)
    path = tmp_path / f"list{suffix}"
    path.write_text(PLAYLISTS[kind].format(video=video, name="plain.mp4"))
    said = limited(decode, str(path), seconds=20)
    assert f"list{suffix}: not a " in said


NAMES = (
    "concat:plain.mp4|plain.mp4", "http://127.0.0.1:9/a.mp4", "data:video/mp4;base64,AAAA",
    "subfile,,start,0,end,0,,:plain.mp4", "pipe:0", "crypto:plain.mp4",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_like_a_protocol_is_a_name(tmp_path, monkeypatch, video, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.mp4").symlink_to(video)
    assert "no such file" in limited(decode, name)
    if "/" not in name:  # and it can be the name of a file
        (tmp_path / name).symlink_to(video)
        assert limited(decode, name) == HANDLED


def test_bytes_that_are_no_text_as_a_name(tmp_path, video):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe\n.mp4")
    Path(name).symlink_to(video)
    limited(decode, name)
    assert "no such file" in limited(decode, name + "x")


@pytest.mark.parametrize(("width", "height"), [(65535, 65535), (16384, 16384), (0, 0)])
def test_declared_sizes_that_fit_no_memory(tmp_path, video, width, height):
    """The picture's size stands in the track's header and in the sample's description; the stream says another."""
    content = bytearray(video.read_bytes())
    start = content.index(b"avc1") + 28
    struct.pack_into(">HH", content, start, width, height)
    path = tmp_path / "large.mp4"
    path.write_bytes(content)
    limited(decode, str(path), megabytes=512)


def test_a_header_of_a_hundred_thousand_frames_over_a_stream_of_eight(tmp_path, video):
    """stts: one entry, 8 frames of some duration."""
    content = bytearray(video.read_bytes())
    start = content.index(b"stts") + 8
    assert struct.unpack_from(">II", content, start)[1] == 8
    struct.pack_into(">I", content, start + 4, 100_000)
    path = tmp_path / "long.mp4"
    path.write_bytes(content)
    limited(decode, str(path), megabytes=256)


def test_a_device_is_no_video():
    assert "/dev/null: not a readable video" in limited(decode, "/dev/null")
