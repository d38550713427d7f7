"""Extracted frames made to do harm: sizes that fit no memory, headers that are cut, programs in a picture's place."""

import struct
import zlib

import pytest
from PIL import Image

from pytorchvideo_autox3d.data.frames import FramesReader
from tests.security.limits import HANDLED, limited


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))


HOSTILE = {
    "of 3.6 billion pixels": png(60_000, 60_000),
    "of 400 million pixels": png(20_000, 20_000),
    "of 81 million pixels": png(9_000, 9_000),
    "of the largest size": png(2**31 - 1, 2**31 - 1),
    "of no size": png(0, 0),
    "with half a header": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"abc"),
    "cut": png(32, 32)[:40],
    "a text that unpacks to far more": png(8, 8)[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 28), 9)),
    "a program in PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n",
    "a bitmap of ten billion pixels": b"P6 100000 100000 255\n",
    "nothing": b"",
}


def read(path: str) -> None:
    with FramesReader([path], name="video") as frames:
        frames.metadata()
        frames.read([0], short_side=16)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_picture_is_named(tmp_path, kind):
    path = tmp_path / "frame.png"
    path.write_bytes(HOSTILE[kind])
    said = limited(read, str(path), megabytes=256, seconds=10)
    assert said.startswith(f"{path}: ")
    assert said.endswith("(frame 0 of video)") or "can't decode" in said


def test_a_picture_is_read(tmp_path):
    Image.new("RGB", (64, 32)).save(tmp_path / "frame.png")
    assert limited(read, str(tmp_path / "frame.png")) == HANDLED
