"""Reads a whole video from beginning to end in the memory of one frame, for videos of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any, Protocol

import torch
from av.error import FFmpegError
from torch import Tensor

from pytorchvideo_autox3d.data.pyav_reader import PyAVReader
from pytorchvideo_autox3d.data.video_metadata import VideoMetadata
from pytorchvideo_autox3d.errors import DecodeError

_LEFT_OPEN = 3  # frames that a whole video may lack at its end: containers count placeholders as frames


class FrameSource(Protocol):
    """The interface of what gives its frames one after another; use it in a `with` statement."""

    def metadata(self) -> VideoMetadata:
        """Length, rate and size."""
        ...

    def frames(self, wanted: Callable[[int], bool], *, short_side: int | None = None) -> Iterator[tuple[int, Tensor]]:
        """(number, uint8 frame_CHW) of the wanted frames, in their order.

        Args:
            wanted: whether a frame is wanted, by its number.
            short_side: scale the pictures so that their shorter side has this many pixels; None keeps their size.
        """
        ...

    def __enter__(self) -> FrameSource: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FrameStream(PyAVReader):
    """A `VideoReader` that also gives its frames one after another; the numbers of frames are the same in both."""

    def frames(self, wanted: Callable[[int], bool], *, short_side: int | None = None) -> Iterator[tuple[int, Tensor]]:
        """Decode the video once, in order: (number, uint8 frame_CHW) of the wanted frames.

        Args:
            wanted: whether a frame is wanted, by its number.
            short_side: as in `read`.

        Raises:
            DecodeError: the frame after those that were given can't be decoded, or the video ends long before the
                length that its header promises.
        """
        total = self.metadata().num_frames
        number, shown = 0, None
        self._open()
        try:
            for position, frame in enumerate(self._container.decode(self._stream)):
                # `shown` is on the screen until this one comes.
                while shown is not None and number < total and self._comes_after(frame, position, number):
                    if wanted(number):
                        yield number, self._tensor(shown, short_side)
                    number += 1
                shown = frame
        except FFmpegError as error:
            raise DecodeError(f"{self._path}: frame {number} of {total} can't be decoded: {error}") from None
        if shown is None or total - number > _LEFT_OPEN:
            raise DecodeError(f"{self._path}: truncated: frames end at {number} of the {total} that it promises")
        for rest in filter(wanted, range(number, total)):
            yield rest, self._tensor(shown, short_side)

    def _comes_after(self, frame: Any, position: int, number: int) -> bool:
        """Whether a picture, the `position`-th, is shown only after the middle of the period of frame `number`."""
        if not self._timed or frame.pts is None:
            return position > number
        return bool(frame.pts > self._origin + (number + Fraction(1, 2)) / (self._rate * self._stream.time_base))

    def _tensor(self, frame: Any, short_side: int | None) -> Tensor:
        return torch.from_numpy(self._picture(frame, short_side).copy()).permute(2, 0, 1)
