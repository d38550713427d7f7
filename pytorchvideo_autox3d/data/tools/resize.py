"""Re-encodes a list of videos with a short side of few pixels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import av
import numpy as np
import simplejson
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from rich.progress import Progress

from pytorchvideo_autox3d.data.containers import open_container
from pytorchvideo_autox3d.data.manifest import Manifest, refuse_to_replace, write_manifest
from pytorchvideo_autox3d.data.parallel import in_processes
from pytorchvideo_autox3d.data.pyav_reader import WITHOUT_DISPLAY_TIMES
from pytorchvideo_autox3d.data.views import scaled_size
from pytorchvideo_autox3d.errors import AutoX3DError, DataError, DecodeError
from pytorchvideo_autox3d.files import atomic_write, write_text

_RECORD = "resize.json"


@dataclass(frozen=True)
class ResizeSettings:
    """How videos are encoded again: H.264 without sound.

    Attributes:
        short_side: in pixels, even; smaller pictures keep their size.
        gop: frames from one keyframe to the next. A small number makes it fast to read from the middle of a video, a
            large one makes files small.
        crf: x264's constant rate factor, 0 to 51; at 18 the result can hardly be told from the source.

    Raises:
        DataError: a value is out of range.
    """

    short_side: int = 256
    gop: int = 12
    crf: int = 20

    def __post_init__(self) -> None:
        if self.short_side < 16 or self.short_side % 2 or self.gop < 1 or not 0 <= self.crf <= 51:
            raise DataError(f"resize: {self}: expected an even short side from 16, a gop from 1 and a crf in 0..51")


def resize_video(source: str, target: str | Path, settings: ResizeSettings) -> None:
    """Write `source` again at the settings' size, upright, each frame at its own time; `target` must not exist.

    Raises:
        DataError: the target exists.
        DecodeError: the source can't be read; names it. No target is left then.
    """
    if os.path.exists(target):
        raise DataError(f"{target}: exists already, and no file is written over")
    with atomic_write(target) as beside:
        try:
            with open_container(source) as container:
                if not container.streams.video:
                    raise DecodeError(f"{source}: has no video stream")
                _encode(container, beside, settings)
        except FFmpegError as error:
            raise DecodeError(f"{source}: can't be encoded anew: {error.strerror}") from None


def _encode(source: Any, beside: Path, settings: ResizeSettings) -> None:
    video = source.streams.video[0]
    video.thread_type = "NONE"
    rate = video.average_rate or Fraction(25)
    options = {"preset": "veryfast", "crf": str(settings.crf), "threads": "1"}
    with av.open(str(beside), "w", format="mp4", options={"movflags": "faststart"}) as target:
        stream = target.add_stream("libx264", rate=rate, options=options)
        stream.pix_fmt, stream.gop_size = "yuv420p", settings.gop
        stream.codec_context.time_base = video.time_base
        for number, frame in enumerate(_upright(source, video, settings)):
            if number == 0:
                stream.height, stream.width = frame.height, frame.width
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def _upright(source: Any, video: Any, settings: ResizeSettings) -> Iterator[av.VideoFrame]:
    """The pictures of a video, scaled and turned upright, at strictly increasing times."""
    reformatter = VideoReformatter()
    period = max(1, round(1 / ((video.average_rate or Fraction(25)) * video.time_base)))
    timed = source.format.name not in WITHOUT_DISPLAY_TIMES
    last = -period
    for frame in source.decode(video):
        height, width = frame.height, frame.width
        if min(height, width) > settings.short_side:
            height, width = scaled_size(height, width, settings.short_side)
        scaled = reformatter.reformat(frame, width // 2 * 2, height // 2 * 2, "rgb24", threads=1)
        picture = np.ascontiguousarray(np.rot90(scaled.to_ndarray(), round(frame.rotation / 90)), dtype=np.uint8)
        upright = av.VideoFrame.from_ndarray(picture, format="rgb24")
        last = max(last + 1, frame.pts) if timed and frame.pts is not None else last + period
        upright.pts, upright.time_base = last, video.time_base
        yield upright


def resize_list(
    manifest: Manifest, output: str | Path, settings: ResizeSettings, *, workers: int = 0, show_progress: bool = True
) -> dict[int, str]:
    """Re-encode every video of a list below `output`, and list the results there under the list's own name.

    Files that are there already are kept, so an interrupted run goes on where it was. No source is ever written to.
    Videos that fail are left out of the new list.

    Args:
        manifest: the list.
        output: the folder of the results.
        settings: their size and quality.
        workers: processes; 0 works in this one.
        show_progress: whether to show a bar.
    Returns:
        Error messages of the videos that failed, by their places in the list.

    Raises:
        DataError: `output` was made with other settings, a source or the list lies where its result would, or the
            results of two sources would lie in one place. Nothing is written then.
    """
    output = Path(output)
    targets = [_target(manifest.listed(index)) for index in range(len(manifest))]
    tasks = [(manifest.record(i).path, str(output / target)) for i, target in enumerate(targets)]
    _check_places(manifest, tasks, output)
    result = output / f"{Path(manifest.name).stem}.csv"
    refuse_to_replace(result, manifest)
    _claim(output, settings)
    open_tasks = sorted({task for task in tasks if not os.path.exists(task[1])})
    failed: dict[tuple[str, str], str] = {}
    with Progress(disable=not show_progress) as progress:
        bar = progress.add_task("resizing", total=len(tasks), completed=len(tasks) - len(open_tasks))
        for task, message in in_processes(partial(_attempt, settings=settings), open_tasks, workers=workers):
            if message != "":
                failed[task] = message or f"{task[0]}: brings the decoder down"
            progress.advance(bar)
    made = [i for i, task in enumerate(tasks) if task not in failed]
    resized = Manifest.from_items((targets[i], int(manifest.label[i])) for i in range(len(tasks)))
    write_manifest(result, resized, made)
    manifest.classes.write_beside(result)
    return {i: manifest.with_location(i, failed[task]) for i, task in enumerate(tasks) if task in failed}


def _attempt(task: tuple[str, str], settings: ResizeSettings) -> str:
    try:
        resize_video(*task, settings)
    except AutoX3DError as error:
        return str(error)
    return ""


def _check_places(manifest: Manifest, tasks: Sequence[tuple[str, str]], output: Path) -> None:
    sources: dict[str, tuple[int, str]] = {}
    for index, (source, target) in enumerate(tasks):
        if os.path.realpath(source) == os.path.realpath(target):
            raise DataError(
                manifest.with_location(
                    index, f"{source}: lies where its result would; choose another folder than {output}"
                )
            )
        other, known = sources.setdefault(target, (index, source))
        if os.path.realpath(known) != os.path.realpath(source):
            first = manifest.with_location(other, known)
            raise DataError(
                manifest.with_location(index, f"{source}: its result would be {target}, as that of {first}")
            )


def _claim(output: Path, settings: ResizeSettings) -> None:
    """Record the settings in the folder, so that results of two settings never mix in one.

    Raises:
        DataError: the folder holds results of other settings.
    """
    record = output / _RECORD
    content = simplejson.dumps(asdict(settings)) + "\n"
    if record.is_file() and record.read_text(encoding="utf8") != content:
        raise DataError(f"{output}: holds videos of other settings ({record.read_text(encoding='utf8').strip()})")
    write_text(record, content)


def _target(listed: str) -> str:
    """The path of a result below the output folder: the source's, with .mp4 added where it ends otherwise."""
    parts = [part for part in PurePath(listed).parts if part not in ("/", "..")]
    path = PurePath(*parts)
    return str(path if path.suffix == ".mp4" else path.with_name(path.name + ".mp4"))
