"""`autox3d bench loader`: ways from a file to a training clip or a test video, side by side in one process.

A generated video (340 x 256, 30 frames a second, 10 s, H.264) is encoded with a keyframe every 250 and every 12 frames.
Clips are those of AutoX3D-S's training: 13 x 6 frames, a random short side of 182 to 228, a crop of 160. The candidates
run in turn, round after round, each round at another random clip that is the same for all; figures are medians. Every
candidate opens the file anew and decodes in one thread.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import interpolate

from pytorchvideo_autox3d.data import Kinetics, Manifest, View, clip_generator, open_video
from pytorchvideo_autox3d.data.transforms import cropped
from pytorchvideo_autox3d.data.views import clip_span, frame_indices, random_view, scaled_size, uniform_views

OURS, BARE, PTV, CODEC, BY_VIEW = "this reader", "bare decode", "PyTorchVideo", "torchcodec", "this reader, by view"
_FRAMES, _RATE, _FPS, _SECONDS = 13, 6, 30, 10
_CROP, _JITTER, _SIZE = 160, (182, 228), (340, 256)


@dataclass(frozen=True)
class _Case:
    """A file, and how to read a training clip or all views of a test from it."""

    path: str
    train: Mapping[str, Callable[[int], object]]
    test: Mapping[str, Callable[[int], object]]


def run(
    *,
    rounds: int = 10,
    test_rounds: int = 3,
    gops: tuple[int, ...] = (250, 12),
    seconds: int = _SECONDS,
    num_clips: int = 10,
) -> list[dict[str, Any]]:
    """Measure every candidate.

    Args:
        rounds, test_rounds: timed rounds for training clips, and for tests.
        gops: frames from one keyframe to the next.
        seconds: length of the video.
        num_clips: clips of a test, which has num_clips * 3 views.

    Returns:
        A row for each keyframe distance and purpose, with milliseconds, and CPU milliseconds over all threads.
    """
    rows = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a loader's worker
    try:
        with tempfile.TemporaryDirectory() as folder:
            for gop in gops:
                path = str(Path(folder, f"gop{gop}.mp4"))
                make_video(path, gop=gop, seconds=seconds)
                case = _case(path, num_clips)
                rows.append(_row("training clip", gop, case.train, rounds) | {"psnr_db": psnr(path)})
                rows.append(_row(f"test of {3 * num_clips} views", gop, case.test, test_rounds))
    finally:
        torch.set_num_threads(threads)
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print what `run` returned."""
    table = Table("read", "GOP", "way", "ms", "CPU ms", "times ours", box=box.SIMPLE_HEAD)
    for row in rows:
        ours = row["milliseconds"][OURS]
        for name, value in row["milliseconds"].items():
            figures = (f"{value:.0f}", f"{row['cpu_milliseconds'][name]:.0f}", f"{value / ours:.2f}")
            table.add_row(row["read"], str(row["gop"]), name, *figures)
    console = Console()
    console.print(table)
    noise = ", ".join(f"{row['psnr_db']:.1f} dB (GOP {row['gop']})" for row in rows if "psnr_db" in row)
    console.print(f"Scaled while converting against scaled after, PSNR: {noise}")
    console.print("Medians of rounds in turn, the same clips for all, files opened anew, one thread.")


def make_video(path: str, *, gop: int, seconds: int = _SECONDS) -> None:
    """Write a video of a view that moves over a picture with detail at every scale, as photographs have, and noise.

    Args:
        path: of the file.
        gop: frames from one keyframe to the next.
        seconds: its length.
    """
    width, height = _SIZE
    random = np.random.default_rng(0)
    picture = _textured(random, 2 * height, 2 * width)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "medium", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, "yuv420p", gop
        for number in range(seconds * _FPS):
            angle = 2 * np.pi * number / (seconds * _FPS)
            top, left = int((1 + np.sin(angle)) / 2 * height), int((1 + np.cos(angle)) / 2 * width)
            view = picture[top : top + height, left : left + width].astype(np.int16)
            noisy = np.clip(view + random.integers(-3, 4, view.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode(None))


def _textured(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    total = torch.zeros(1, 3, height, width)
    for octave in range(1, 8):
        cells = torch.from_numpy(random.standard_normal((1, 3, 2**octave, 2**octave))).float()
        total += interpolate(cells, size=(height, width), mode="bicubic") / 2 ** (octave / 2)
    scaled = (total - total.min()) / (total.max() - total.min()) * 255
    return scaled[0].permute(1, 2, 0).byte().numpy()


def psnr(path: str, short_side: int = _JITTER[0]) -> float:
    """Peak signal-to-noise ratio, in decibels, of scaling frames while converting them against scaling them after."""
    numbers = list(range(0, 60, 6))
    with open_video(path) as video:
        direct = video.read(numbers, short_side=short_side)
        full = video.read(numbers)
    size = direct.shape[-2:]
    reformatter = av.video.reformatter.VideoReformatter()
    after = []
    for frame_CHW in full:
        frame = av.VideoFrame.from_ndarray(frame_CHW.permute(1, 2, 0).contiguous().numpy(), format="rgb24")
        scaled = reformatter.reformat(frame, size[1], size[0], "rgb24", interpolation="BILINEAR")
        after.append(torch.from_numpy(scaled.to_ndarray()).permute(2, 0, 1))
    noise = (direct.double() - torch.stack(after).double()).square().mean()
    return float(10 * torch.log10(255**2 / noise))


def _case(path: str, num_clips: int) -> _Case:
    train, test = _dataset(path, "train", "pyav"), _dataset(path, "test", "pyav", num_clips)
    with open_video(path) as video:
        found = video.metadata()
    span = clip_span(_FRAMES, _RATE, _FPS, found.fps)
    views = uniform_views(found.num_frames, span, num_clips=num_clips, num_crops=3)

    def clip_of(number: int) -> View:
        return random_view(found.num_frames, span, clip_generator(0, number, 0))  # as the data set draws it

    def numbers_of(view: View) -> list[int]:
        return frame_indices(view, _FRAMES, found.num_frames)

    ways: dict[str, Callable[[int], object]] = {
        OURS: lambda number: train[number, 0],
        BARE: lambda number: bare_decode(path, numbers_of(clip_of(number))),
        PTV: lambda number: ptv_clip(path, clip_of(number), found.fps, _JITTER[0] + number % 47, None),
    }
    tests: dict[str, Callable[[int], object]] = {
        OURS: lambda number: test[0],
        BARE: lambda number: bare_decode(path, [n for view in views for n in numbers_of(view)]),
        BY_VIEW: lambda number: [_one_view(path, numbers_of(view), view) for view in views],
        PTV: lambda number: [ptv_clip(path, view, found.fps, _CROP, view) for view in views],
    }
    if _has_torchcodec():
        other_train = _dataset(path, "train", "torchcodec")
        other_test = _dataset(path, "test", "torchcodec", num_clips)
        ways[CODEC] = lambda number: other_train[number, 0]
        tests[CODEC] = lambda number: other_test[0]
    return _Case(path, ways, tests)


def _dataset(path: str, mode: str, reader: str, num_clips: int = 10) -> Kinetics:
    return Kinetics(
        manifest=Manifest.from_items([(path, 0)]), mode=mode, num_frames=_FRAMES, sampling_rate=_RATE,
        crop_size=_CROP, jitter_scales=_JITTER, target_fps=_FPS, reader=reader,
        num_clips=num_clips,
    )  # fmt: skip


def _has_torchcodec() -> bool:
    from pytorchvideo_autox3d.data.torchcodec_reader import available

    return available()


def bare_decode(path: str, numbers: list[int]) -> None:
    """Decode from the keyframe before the first of these frames to the last of them, and drop the pictures."""
    with av.open(path) as container:
        stream: Any = container.streams.video[0]
        stream.thread_type = "NONE"
        per_frame = 1 / (stream.average_rate * stream.time_base)
        container.seek(int(stream.start_time + min(numbers) * per_frame), stream=stream)
        last = stream.start_time + (max(numbers) - 0.5) * float(per_frame)
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts >= last:
                break


def ptv_clip(path: str, view: View, fps: float, short_side: int, crop: View | None) -> Tensor:
    """A clip by PyTorchVideo's `EncodedVideo`, then subsampled, scaled and cropped as its transforms do it."""
    from pytorchvideo.data.encoded_video_pyav import EncodedVideoPyAV

    with open(path, "rb") as file:
        video = EncodedVideoPyAV(file, decode_audio=False)
        clip_CTHW = video.get_clip(view.start / fps, (view.end + 1) / fps)["video"]
        video.close()
    picked = clip_CTHW[:, torch.linspace(0, clip_CTHW.shape[1] - 1, _FRAMES).long()]
    height, width = picked.shape[-2:]
    size = scaled_size(height, width, short_side)
    scaled = interpolate(picked, size=size, mode="bilinear", align_corners=False)
    return cropped(scaled, crop or View(0, 0), _CROP) / 255


def _one_view(path: str, numbers: list[int], view: View) -> Tensor:
    with open_video(path) as video:
        return cropped(video.read(numbers, short_side=_CROP), view, _CROP).contiguous()


def _row(read: str, gop: int, ways: Mapping[str, Callable[[int], object]], rounds: int) -> dict[str, Any]:
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            way(number)
            if number:  # the first round warms up
                wall[name].append(1e3 * (time.perf_counter() - start))
                cpu[name].append(1e3 * (time.process_time() - start_cpu))
    return {
        "read": read,
        "gop": gop,
        "rounds": rounds,
        "milliseconds": {name: statistics.median(values) for name, values in wall.items()},
        "cpu_milliseconds": {name: statistics.median(values) for name, values in cpu.items()},
    }
