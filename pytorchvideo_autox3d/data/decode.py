"""The interface of video readers; the library that decodes is chosen by name.

Frames are numbered from 0 at the video's average rate, and frame n is the picture on the screen in the middle of its
period, (n + 1/2) / fps after the start. Where the rate is constant that is simply the n-th picture; where it varies,
numbers stay proportional to time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

from torch import Tensor

from pytorchvideo_autox3d.data.pyav_reader import PyAVReader
from pytorchvideo_autox3d.data.torchcodec_reader import TorchCodecReader, load_torchcodec
from pytorchvideo_autox3d.data.video_metadata import VideoMetadata
from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.registry import READER_REGISTRY


class VideoReader(Protocol):
    """One open video; use it in a `with` statement, which closes the file."""

    def metadata(self) -> VideoMetadata:
        """Length, rate and size.

        Raises:
            DecodeError: the video has no frames, or can't be read.
        """
        ...

    def read(self, frames: Sequence[int], *, short_side: int | None = None) -> Tensor:
        """Decode the frames with these numbers, in one pass whatever their order and however often each is named.

        Args:
            frames: T numbers, each in 0..num_frames-1.
            short_side: scale the pictures so that their shorter side has this many pixels; None keeps their size.

        Returns:
            uint8 frames_TCHW, RGB, upright.

        Raises:
            DecodeError: names the file and the cause.
        """
        ...

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        ...

    def __enter__(self) -> VideoReader: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


READER_REGISTRY.register(PyAVReader, name="pyav")
READER_REGISTRY.register(TorchCodecReader, name="torchcodec")


def check_reader(reader: str) -> None:
    """Check that there is a reader of that name and that it can be used here.

    Raises:
        DataError: there is none, or what it needs is not installed.
    """
    if find_reader(reader) is TorchCodecReader:
        load_torchcodec()


def find_reader(reader: str) -> Callable[[str], VideoReader]:
    """The function that opens a video by its path: the reader registered in READER by that name.

    Raises:
        DataError: there is no such reader.
    """
    if reader not in READER_REGISTRY:
        raise DataError(f"no video reader named {reader!r}; {READER_REGISTRY.hint(reader)}")
    found: Callable[[str], VideoReader] = READER_REGISTRY.get(reader)
    return found


def open_video(path: str, *, reader: str = "pyav") -> VideoReader:
    """Open a video with the reader of that name.

    Raises:
        DataError: there is no such reader, or it is not installed.
        DecodeError: the file is missing, is no video, or has no video stream.
    """
    return find_reader(reader)(path)
