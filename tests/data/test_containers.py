"""Only plain files are opened: by each reader of videos, and by the reader of frames. `tests/security` has the rest."""

import os
import socket
from types import SimpleNamespace

import pytest

from pytorchvideo_autox3d.data import open_video, torchcodec_reader
from pytorchvideo_autox3d.data.containers import media_source
from pytorchvideo_autox3d.data.frames import FramesReader
from pytorchvideo_autox3d.data.tools.resize import ResizeSettings, resize_video
from pytorchvideo_autox3d.errors import DecodeError
from tests.security.limits import limited


@pytest.fixture
def places(tmp_path, monkeypatch):
    """What is no plain file, by what it is."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.mp4")
    os.mkdir("folder.mp4")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("socket.mp4")
        yield {"a pipe": "pipe.mp4", "a folder": "folder.mp4", "a socket": "socket.mp4", "a device": "/dev/zero"}


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a socket", "a device"])
def test_what_is_no_plain_file_is_named_without_opening_it(places, kind):
    """In a process of its own: a pipe that is opened keeps its reader waiting for ever."""
    path = places[kind]
    for read in (open_video, media_source, _resize):
        assert limited(read, path) == f"{path}: not a readable video: it is {kind}"
    assert limited(_image, path) == f"{path}: not a readable image: it is {kind} (frame 0 of some)"


def _resize(path: str) -> None:
    resize_video(path, "resized.mp4", ResizeSettings(short_side=16))


def _image(path: str) -> None:
    FramesReader([path], name="some").metadata()


@pytest.fixture
def opened(monkeypatch):
    """What torchcodec is given to open, without torchcodec."""
    sources: list = []

    def decoder(source, **_):
        sources.append(source)
        return SimpleNamespace()

    monkeypatch.setattr(torchcodec_reader, "_import", lambda name: SimpleNamespace(VideoDecoder=decoder))
    return sources


def test_torchcodec_is_told_that_a_name_is_a_files(plain_video, tmp_path, monkeypatch, opened):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp4|b.mp4", "pipe:0", "data:video"):
        os.symlink(plain_video, name)
        open_video(name, reader="torchcodec")
        assert opened.pop() == f"file:{name}"


def test_torchcodec_is_given_neither_addresses_nor_lists_of_other_files(plain_video, tmp_path, monkeypatch, opened):
    monkeypatch.chdir(tmp_path)
    os.symlink(plain_video, "plain.mp4")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile plain.mp4\n")
    for name, said in (("http://127.0.0.1:9/a.mp4", "no such file"), ("list.mp4", "not a video but a list of others")):
        with pytest.raises(DecodeError, match=said):
            open_video(name, reader="torchcodec")
    assert opened == []
