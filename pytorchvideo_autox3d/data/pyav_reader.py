"""Reading frames with PyAV (FFmpeg): seek, read the compressed packets, decode only what the wanted frames depend on.

One decoding thread: workers are the parallelism here, and FFmpeg's own frame threads hang when a decoder is left before
its end. Pictures are scaled by swscale while they are converted to RGB, and only those that are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from torch import Tensor

from pytorchvideo_autox3d.data.closing import ClosedOnExit
from pytorchvideo_autox3d.data.containers import cause, open_container
from pytorchvideo_autox3d.data.packets import Run, plan_runs, shown_at
from pytorchvideo_autox3d.data.video_metadata import VideoMetadata
from pytorchvideo_autox3d.data.views import scaled_size
from pytorchvideo_autox3d.errors import DecodeError

# Containers whose header holds the exact number of frames and the time of the first; others are counted.
_INDEXED = {"mov", "mp4"}
# Containers that store decoding times only: frames are found by counting pictures from the start.
WITHOUT_DISPLAY_TIMES = {"avi"}
# Placeholders that XviD's packed frames leave at the end: packets without a picture of their own.
_EMPTY_PACKETS = 2
_DEFAULT_FPS = 25  # of elementary streams, which carry no times at all


class NoVideoStreamError(DecodeError):
    """The file can be opened, but holds only sound or data."""


class PyAVReader(ClosedOnExit):
    """`VideoReader` over PyAV; see there for the contract."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._metadata: VideoMetadata | None = None
        self._origin = 0  # display time of the first frame, in units of the stream's time base
        self._timed = True  # whether packets carry display times
        self._size: tuple[int, int, int] | None = None  # height, width and quarter turns of the first picture
        self._reformatter = VideoReformatter()
        self._container: Any = None
        self._untouched = False  # whether nothing was read since the file was opened
        self._open()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def metadata(self) -> VideoMetadata:
        """Length, rate and size; packets are counted where the container doesn't say, which decodes nothing."""
        if self._metadata is None:
            self._metadata = self._from_header() or self._from_packets()
        return self._metadata

    def read(self, frames: Sequence[int], *, short_side: int | None = None) -> Tensor:
        """Decode frames by number into uint8 frames_TCHW, or raise `DecodeError`; see `VideoReader.read`."""
        numbers, order = np.unique(np.asarray(frames, dtype=np.int64), return_inverse=True)
        self.metadata()
        try:
            pictures = self._timed_pictures(numbers, short_side) if self._timed else self._counted(numbers, short_side)
        except FFmpegError as error:
            raise DecodeError(f"{self._path}: can't decode: {cause(error)}") from None
        frames_NHWC = torch.from_numpy(np.stack(pictures))
        if len(order) != len(numbers) or (np.diff(order) != 1).any():
            frames_NHWC = frames_NHWC[torch.from_numpy(order)]
        return frames_NHWC.permute(0, 3, 1, 2)

    def scan(self) -> Iterator[tuple[float | None, bool]]:
        """Decode everything: each frame's display time in seconds, where it has one, and whether it came out whole.

        Raises:
            DecodeError: the frame after those that were given can't be decoded.
        """
        self._rewind()
        try:
            for frame in self._container.decode(self._stream):
                yield frame.time, not frame.is_corrupt
        except FFmpegError as error:
            raise DecodeError(f"{self._path}: can't decode: {cause(error)}") from None

    # Opening and measuring

    def _open(self) -> None:
        self.close()
        self._container = open_container(self._path)
        if not self._container.streams.video:
            self.close()
            raise NoVideoStreamError(f"{self._path}: has no video stream")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            self.close()
            raise DecodeError(f"{self._path}: no decoder for its video stream")
        self._stream.thread_type = "NONE"
        self._stream.codec_context.thread_count = 1
        self._untouched = True

    def _rewind(self) -> None:
        """Go to the file's start, by opening it again where it was read from: not every format can seek there."""
        if not self._untouched:
            self._open()
        self._untouched = False

    def _from_header(self) -> VideoMetadata | None:
        stream = self._stream
        exact = _INDEXED & set(self._container.format.name.split(","))
        if not (
            exact and stream.frames > 0 and stream.duration and stream.average_rate and stream.start_time is not None
        ):
            return None
        self._origin = stream.start_time
        return self._measured(stream.frames, stream.average_rate)

    def _from_packets(self) -> VideoMetadata:
        try:
            display = [packet.pts for packet in self._packets()]  # the times alone: an hour's packets fill the memory
        except FFmpegError as error:
            raise DecodeError(f"{self._path}: can't read: {cause(error)}") from None
        if not display:
            raise DecodeError(f"{self._path}: has no frames")
        times = sorted(pts for pts in display if pts is not None)
        self._open()
        self._timed = len(times) == len(display) and self._container.format.name not in WITHOUT_DISPLAY_TIMES
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(_DEFAULT_FPS)
        if not self._timed:
            return self._measured(len(display), rate)
        self._origin = times[0]
        span = (times[-1] - times[0]) * self._stream.time_base
        if span > 0 and abs(span * rate - (len(times) - 1)) > 1:  # a variable rate, or a header that is wrong
            rate = (len(times) - 1) / span
        return self._measured(len(times), rate)

    def _measured(self, num_frames: int, rate: Fraction) -> VideoMetadata:
        self._rate = Fraction(rate)
        return VideoMetadata(num_frames, float(rate), self._stream.height, self._stream.width)

    # Reading packets and frames

    def _packets(self) -> Iterator[Any]:
        """The packets of the video stream from the present position on, without the empty one at the end."""
        self._untouched = False
        for packet in self._container.demux(self._stream):
            if packet.size:  # the end of the file arrives as an empty packet
                yield packet

    def _timed_pictures(self, numbers: npt.NDArray[np.int64], short_side: int | None) -> list[npt.NDArray[np.uint8]]:
        per_frame = 1 / (self._rate * self._stream.time_base)
        # The middle of each frame's time, rounded down: packets carry whole numbers, and these compare much faster.
        over, under = per_frame.numerator, 2 * per_frame.denominator
        times = [self._origin + (2 * number + 1) * over // under for number in numbers.tolist()]
        packets = self._packets_over(times[0], times[-1], per_frame)
        shown = shown_at(sorted(p.pts for p in packets if p.pts is not None and not p.is_discard), times)
        self._check_reach(
            packets, shown[-1], self._origin + (numbers.tolist()[-1] + Fraction(1, 2)) * per_frame, per_frame
        )
        wanted = set(shown)
        pictures = self._decode(packets, plan_runs(packets, wanted), wanted, short_side, sparing=True)
        if wanted - pictures.keys():
            # Some decoders drop or renumber frames when others are left out: give them everything.
            pictures = self._decode(packets, [Run(0, len(packets) - 1)], wanted, short_side, sparing=False)
        missing = sorted(wanted - pictures.keys())
        if missing:
            at = float((missing[0] - self._origin) * self._stream.time_base)
            raise DecodeError(f"{self._path}: the frame at {at:.2f} s can't be decoded")
        return [pictures[pts] for pts in shown]

    def _packets_over(self, start: int, end: int, per_frame: Fraction) -> list[Any]:
        """Packets from a keyframe at or before `start` to past `end`, in decoding order."""
        margin: Fraction | int = 0
        while True:
            target = int(start - margin)
            if target <= self._origin + per_frame:
                self._rewind()
                return self._take_until(end)
            self._untouched = False
            try:
                self._container.seek(target, stream=self._stream)
            except FFmpegError:  # no index to seek by
                margin = start
                continue
            packets = self._take_until(end)
            if packets and packets[0].is_keyframe and packets[0].pts is not None and packets[0].pts <= start:
                return packets
            # The index goes by decoding time: with reordered frames it may lead to a keyframe displayed too late.
            margin = 4 * margin + 8 * per_frame

    def _take_until(self, end: int) -> list[Any]:
        taken: list[Any] = []
        for packet in self._packets():
            # No packet is displayed before it is decoded, so that none that follows this one can matter.
            if packet.dts is not None and packet.dts > end and taken:
                break
            taken.append(packet)
        return taken

    def _check_reach(self, packets: Sequence[Any], shown: int, time: Fraction, per_frame: Fraction) -> None:
        """Refuse to give the last readable frame in place of one that the header promises after it (`DecodeError`)."""
        last = next((packet for packet in packets if packet.pts == shown), None)
        if last is None:
            raise DecodeError(f"{self._path}: has no frames")
        held = max(last.duration or 0, per_frame) + per_frame
        if time - shown > held and shown == max(packet.pts for packet in packets if packet.pts is not None):
            end = float((shown - self._origin + per_frame) * self._stream.time_base)
            promised = self.metadata().duration
            raise DecodeError(
                f"{self._path}: truncated: the header promises {promised:.2f} s, frames end at {end:.2f} s"
            )

    def _decode(
        self, packets: Sequence[Any], runs: Sequence[Run], wanted: set[int], short_side: int | None, *, sparing: bool
    ) -> dict[int, npt.NDArray[np.uint8]]:
        """Decode runs of packets into {display time: picture}; `sparing` skips frames that no other depends on."""
        context = self._stream.codec_context
        pictures: dict[int, npt.NDArray[np.uint8]] = {}
        for run in runs:
            context.flush_buffers()
            for packet in [*packets[run.first : run.last + 1], None]:  # None: deliver what is held back
                if packet is not None:
                    context.skip_frame = "NONREF" if sparing and packet.pts not in wanted else "DEFAULT"
                for frame in context.decode(packet):
                    if frame.pts in wanted and frame.pts not in pictures:
                        pictures[frame.pts] = self._picture(frame, short_side)
        context.flush_buffers()
        return pictures

    def _counted(self, numbers: npt.NDArray[np.int64], short_side: int | None) -> list[npt.NDArray[np.uint8]]:
        """Frames of a stream without times, by counting from its start."""
        self._rewind()
        wanted, last = numbers.tolist(), numbers[-1]
        pictures: list[npt.NDArray[np.uint8]] = []
        number, frame = -1, None
        for number, frame in enumerate(self._container.decode(self._stream)):
            if number == wanted[len(pictures)]:
                pictures.append(self._picture(frame, short_side))
            if number == last:
                break
        if last - number > _EMPTY_PACKETS or frame is None:
            raise DecodeError(f"{self._path}: frame {number + 1} of {self.metadata().num_frames} can't be decoded")
        while len(pictures) < len(wanted):
            pictures.append(self._picture(frame, short_side))
        return pictures

    def _picture(self, frame: Any, short_side: int | None) -> npt.NDArray[np.uint8]:
        if self._size is None:  # a stream may change in its course: all pictures of a video are of one size
            self._size = frame.height, frame.width, round(frame.rotation / 90)
        height, width, turns = self._size
        if short_side is not None:
            height, width = scaled_size(height, width, short_side)
        scaled = self._reformatter.reformat(frame, width, height, "rgb24", interpolation="BILINEAR", threads=1)
        return np.rot90(scaled.to_ndarray(), turns)
