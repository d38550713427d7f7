"""A copy of a video with a label and a score on its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pytorchvideo_autox3d.data.frame_stream import FrameSource
from pytorchvideo_autox3d.errors import DecodeError
from pytorchvideo_autox3d.files import atomic_write

Caption = Callable[[float], tuple[str, float]]
"""Seconds from the video's start -> (label, score) to show."""

_BAND = 0.12  # height of the caption's band, as a share of the frame's
_SMALLEST = 10  # the smallest size of the caption's letters, in pixels
_LEGIBLE = 240  # pictures are enlarged until their shorter side has as many pixels
_BAR = (86, 180, 233)


def annotate_video(source: FrameSource, destination: str | Path, caption: Caption) -> None:
    """Write a copy of a video, H.264 in mp4, with a band over every frame: label, score and a bar of the score.

    Very small pictures are enlarged, so that the caption can be read.

    Args:
        source: the video.
        destination: the file to write.
        caption: what to show at each time.
    Raises:
        DecodeError: the video can't be read to its end, or the copy can't be encoded; nothing is written.
    """
    with source as video:
        rate = video.metadata().fps
        frames = ((number / rate, frame_CHW) for number, frame_CHW in video.frames(lambda number: True))
        write_video(destination, (_captioned(frame, *caption(time)) for time, frame in frames), rate)


def write_video(destination: str | Path, pictures: Iterable[NDArray[np.uint8]], rate: float) -> None:
    """Encode RGB pictures as H.264 in mp4, one in memory at a time.

    Args:
        destination: the file to write.
        pictures: (H, W, 3), all of one size; an odd last row or column is cut off.
        rate: frames a second.
    Raises:
        DecodeError: they can't be encoded; nothing is written.
    """
    with atomic_write(destination) as beside:
        try:
            with av.open(str(beside), "w", format="mp4") as container:
                for packet in _encoded(container, pictures, Fraction(rate).limit_denominator(1001)):
                    container.mux(packet)
        except FFmpegError as error:
            raise DecodeError(f"{destination}: can't encode: {error.strerror}") from None


def _encoded(
    container: av.container.OutputContainer, pictures: Iterable[NDArray[np.uint8]], rate: Fraction
) -> Iterator[av.Packet]:
    stream = None
    for picture in pictures:
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        if stream is None:
            stream = container.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        yield from stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), "rgb24"))
    if stream is not None:
        yield from stream.encode(None)


def _captioned(frame_CHW: Tensor, label: str, score: float) -> NDArray[np.uint8]:
    picture = Image.fromarray(frame_CHW.permute(1, 2, 0).contiguous().numpy())
    factor = -(-_LEGIBLE // min(picture.size))
    if factor > 1:
        picture = picture.resize((factor * picture.width, factor * picture.height), Image.Resampling.BILINEAR)
    band = max(_SMALLEST + 6, round(_BAND * picture.height))
    draw = ImageDraw.Draw(picture, "RGBA")
    draw.rectangle((0, 0, picture.width, band), fill=(0, 0, 0, 150))
    draw.rectangle((0, band - 3, round(score * picture.width), band), fill=_BAR)
    text = f"{label} {score:.2f}"
    size = max(_SMALLEST, round(0.6 * band))
    font = ImageFont.load_default(size)
    while size > _SMALLEST and font.getlength(text) > picture.width - 8:  # a long name on a narrow picture
        size -= 1
        font = ImageFont.load_default(size)
    draw.text((4, (band - 3) / 2), text, fill="white", font=font, anchor="lm")
    return np.asarray(picture)
