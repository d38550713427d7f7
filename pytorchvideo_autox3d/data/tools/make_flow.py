"""Computes the optical flow of a list's videos, each written beside its video; `data.flow` says what the files hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from pytorchvideo_autox3d.data.decode import VideoReader, open_video
from pytorchvideo_autox3d.data.flow import STILL, flow_path, flow_values
from pytorchvideo_autox3d.data.manifest import Manifest
from pytorchvideo_autox3d.data.parallel import in_processes
from pytorchvideo_autox3d.errors import AutoX3DError, DataError
from pytorchvideo_autox3d.files import atomic_write

# Frames decoded at a time: long videos don't fit in memory.
_CHUNK = 64


@dataclass(frozen=True)
class FlowSettings:
    """How flow is computed and kept.

    Attributes:
        short_side: the pictures' shorter side, in pixels; smaller videos keep their size.
        preset: of OpenCV's dense inverse search: "ultrafast", "fast" or "medium", the slower the finer.
        crf: x264's constant rate factor, 0 to 51; 0 is lossless.
        gop: frames from one keyframe to the next.

    Raises:
        DataError: a value is out of range.
    """

    short_side: int = 256
    preset: str = "medium"
    crf: int = 10
    gop: int = 12

    def __post_init__(self) -> None:
        presets = ("ultrafast", "fast", "medium")
        if self.short_side < 16 or self.gop < 1 or not 0 <= self.crf <= 51 or self.preset not in presets:
            raise DataError(
                f"make-flow: {self}: expected a short side from 16, a gop from 1, a crf in 0..51 and one of "
                f"{', '.join(presets)}"
            )


def make_flow(video: str, settings: FlowSettings) -> None:
    """Write the flow of one video beside it.

    Raises:
        DataError: OpenCV is not installed.
        DecodeError: the video can't be read; names it. No file is left then.
    """
    engine = _engine(settings.preset)
    with open_video(video) as reader, atomic_write(flow_path(video)) as beside:
        found = reader.metadata()
        short_side = min(settings.short_side, found.height, found.width)
        options = {"preset": "veryfast", "crf": str(settings.crf), "threads": "1"}
        with av.open(str(beside), "w", format="mp4", options={"movflags": "faststart"}) as target:
            rate = Fraction(found.fps).limit_denominator(1001)
            stream = target.add_stream("libx264rgb", rate=rate, options=options)
            stream.pix_fmt, stream.gop_size = "rgb24", settings.gop
            for picture in _flow_pictures(reader, short_side, engine):
                if not stream.codec_context.is_open:
                    stream.height, stream.width = picture.shape[:2]
                target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            target.mux(stream.encode(None))


def _flow_pictures(reader: VideoReader, short_side: int, engine: Any) -> Iterator[npt.NDArray[np.uint8]]:
    """The flow from each frame to the next as RGB pictures; the last picture comes twice."""
    last: npt.NDArray[np.uint8] | None = None
    picture: npt.NDArray[np.uint8] | None = None
    for grey_HW in _grey_pictures(reader, short_side):
        if last is not None:
            flow_HW2 = engine.calc(last, grey_HW, None)
            picture = np.full((*grey_HW.shape, 3), STILL, dtype=np.uint8)
            picture[..., :2] = flow_values(flow_HW2)
            yield picture
        last = grey_HW
    assert last is not None, "a reader gives one frame at least"
    yield np.full((*last.shape, 3), STILL, dtype=np.uint8) if picture is None else picture


def _grey_pictures(reader: VideoReader, short_side: int) -> Iterator[npt.NDArray[np.uint8]]:
    import cv2

    count = reader.metadata().num_frames
    for start in range(0, count, _CHUNK):
        numbers = range(start, min(start + _CHUNK, count))
        for frame_CHW in reader.read(numbers, short_side=short_side).numpy():
            yield np.asarray(cv2.cvtColor(np.ascontiguousarray(frame_CHW.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY))


def _engine(preset: str) -> Any:
    try:
        import cv2
    except ImportError:
        raise DataError("make-flow needs OpenCV: pip install opencv-python-headless") from None
    # One core a process, as many processes as there are cores.
    cv2.setNumThreads(1)
    # Its stubs leave it out.
    create = cv2.DISOpticalFlow_create  # type: ignore[attr-defined]
    return create(getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{preset.upper()}"))


def make_flow_of_list(
    manifest: Manifest, settings: FlowSettings, *, workers: int = 0, show_progress: bool = True
) -> dict[int, str]:
    """Compute the flow of every video of a list that has none yet; so an interrupted run goes on where it was.

    Args:
        manifest: the list; the flow is written beside its videos.
        settings: how it is computed.
        workers: processes; 0 works in this one.
        show_progress: whether to show a bar.

    Returns:
        Error messages of the videos that failed, by their places in the list.

    Raises:
        DataError: OpenCV is not installed.
    """
    _engine(settings.preset)
    paths = list(manifest.paths)
    tasks = sorted({path for path in paths if not os.path.exists(flow_path(path))})
    failed: dict[str, str] = {}
    with Progress(disable=not show_progress) as progress:
        bar = progress.add_task("optical flow", total=len(set(paths)), completed=len(set(paths)) - len(tasks))
        for path, message in in_processes(partial(_attempt, settings=settings), tasks, workers=workers):
            if message != "":
                failed[path] = message or f"{path}: brings the decoder down"
            progress.advance(bar)
    return {index: manifest.with_location(index, failed[path]) for index, path in enumerate(paths) if path in failed}


def _attempt(path: str, settings: FlowSettings) -> str:
    try:
        make_flow(path, settings)
    except AutoX3DError as error:
        return str(error)
    return ""
