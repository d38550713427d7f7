"""Five hundred mutated videos: each one decodes, or gives a DecodeError that names the file."""

import os
import random

import pytest

from pytorchvideo_autox3d.data import open_video
from pytorchvideo_autox3d.data.time_limit import call_within
from pytorchvideo_autox3d.errors import DecodeError

COUNT = 500
SOURCES = [
    ("plain.mp4", {}),
    ("sound.mp4", {"sound": True}),
    ("turned.mp4", {"rotation": 90}),
    ("odd.mp4", {"size": (45, 63)}),
    ("mpeg4.mp4", {"codec": "mpeg4"}),
    ("vp9.webm", {"codec": "libvpx-vp9"}),
    ("sound.webm", {"codec": "libvpx-vp9", "sound": True}),
    ("mpeg4.avi", {"codec": "mpeg4"}),
    ("h264.avi", {"sound": True}),
    ("h264.mkv", {}),
    ("vp9.mkv", {"codec": "libvpx-vp9"}),
    ("uneven.mkv", {"times": [n * n for n in range(24)]}),
]


def truncated(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def flipped(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice([1, 4, 32, 256])):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def flipped_in_the_header(content: bytes, draw: random.Random) -> bytes:
    head = min(len(content), 1500)
    return flipped(content[:head], draw) + content[head:]


def with_a_hole(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    return content[:start] + content[start + draw.randrange(1, 2000) :]


def zeroed(content: bytes, draw: random.Random) -> bytes:
    start, length = draw.randrange(len(content)), draw.randrange(1, 2000)
    return content[:start] + bytes(len(content[start : start + length])) + content[start + length :]


def empty(content: bytes, draw: random.Random) -> bytes:
    return b""


def untouched(content: bytes, draw: random.Random) -> bytes:
    return content


MUTATIONS = [truncated, flipped, flipped_in_the_header, with_a_hole, zeroed, flipped, truncated, untouched]
SUFFIXES = [".mp4", ".webm", ".avi", ".mkv", ".txt", ""]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.fixture(scope="module")
def sources(tmp_path_factory, make_video):
    root = tmp_path_factory.mktemp("fuzz")
    contents = []
    for name, arguments in SOURCES:
        path = make_video(root / name, range(24), **arguments)
        contents.append((path.suffix, path.read_bytes()))
    return contents


def test_each_decodes_or_is_named(sources, tmp_path):
    before, decoded, refused = open_files(), 0, 0
    for number in range(COUNT):
        draw = random.Random(number)
        suffix, content = sources[number % len(sources)]
        mutate = empty if number % 50 == 0 else draw.choice(MUTATIONS)
        wrong = draw.random() < 0.2  # the container of one kind under the name of another
        path = tmp_path / f"video{draw.choice(SUFFIXES) if wrong else suffix}"
        path.write_bytes(mutate(content, draw))
        shape, message = attempt(str(path))
        if shape:
            assert shape[:2] == (3, 3), f"mutation {number}"
            decoded += 1
        else:
            assert message.startswith(f"{path}: "), f"mutation {number}"
            assert "\n" not in message, f"mutation {number}"
            assert "abandoned" not in message, f"mutation {number} hangs"
            refused += 1
        path.unlink()
    assert decoded > 100
    assert refused > 100
    assert open_files() == before


def attempt(path: str) -> tuple[tuple[int, ...], str]:
    """(shape of three frames, "") or ((), message)."""
    try:
        return call_within(lambda: read(path), seconds=20, path=path), ""
    except DecodeError as error:
        return (), str(error)


def read(path: str) -> tuple[int, ...]:
    with open_video(path) as video:
        last = video.metadata().num_frames - 1
        return tuple(video.read([0, last // 2, last], short_side=32).shape)
