"""Reading frames with torchcodec, where it is installed: the same contract as PyAV's reader, for comparison."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pytorchvideo_autox3d.data.closing import ClosedOnExit
from pytorchvideo_autox3d.data.containers import as_file_url, media_source, open_container
from pytorchvideo_autox3d.data.video_metadata import VideoMetadata
from pytorchvideo_autox3d.data.views import scaled_size
from pytorchvideo_autox3d.errors import DataError, DecodeError


class TorchCodecReader(ClosedOnExit):
    """`VideoReader` over torchcodec, with one decoding thread.

    Raises:
        DataError: torchcodec is not installed, or finds none of FFmpeg's libraries.
        DecodeError: as the contract says.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._decoders = _import("torchcodec.decoders")
        # torchcodec would follow a list of other files, over the network too; PyAV can be told not to.
        open_container(path).close()
        self._decoder = self._open()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._decoder = None

    def metadata(self) -> VideoMetadata:
        """Length, rate and size, from a pass over the packets.

        Raises:
            DecodeError: the video has no frames.
        """
        found = self._decoder.metadata
        if not found.num_frames or not found.average_fps:
            raise DecodeError(f"{self._path}: has no frames")
        return VideoMetadata(found.num_frames, found.average_fps, found.height, found.width)

    def read(self, frames: Sequence[int], *, short_side: int | None = None) -> Tensor:
        """Decode frames by number into uint8 frames_TCHW; see `VideoReader.read`.

        Raises:
            DecodeError: a frame can't be decoded; names the file.
        """
        found, decoder = self.metadata(), self._decoder
        if short_side is not None:
            size = scaled_size(found.height, found.width, short_side)
            decoder = self._open(transforms=[_import("torchcodec.transforms").Resize(size)])
        numbers, order = np.unique(np.asarray(frames, dtype=np.int64), return_inverse=True)
        begin, end = decoder.metadata.begin_stream_seconds, decoder.metadata.end_stream_seconds
        times = np.minimum(begin + (numbers + 0.5) / found.fps, np.nextafter(end, begin))
        try:
            frames_NCHW: Tensor = decoder.get_frames_played_at(times.tolist()).data
        except (RuntimeError, ValueError, IndexError) as error:
            raise DecodeError(f"{self._path}: can't decode: {_line(error)}") from None
        return frames_NCHW[torch.from_numpy(order)]

    def _open(self, **arguments: Any) -> Any:
        source = media_source(self._path)
        try:
            return self._decoders.VideoDecoder(
                as_file_url(source) if isinstance(source, str) else source, num_ffmpeg_threads=1, **arguments
            )
        except (RuntimeError, ValueError) as error:
            raise DecodeError(f"{self._path}: not a readable video: {_line(error)}") from None


def load_torchcodec() -> None:
    """Import torchcodec.

    Raises:
        DataError: it is not installed, or finds none of FFmpeg's libraries.
    """
    _import("torchcodec.decoders")


def available() -> bool:
    """Whether torchcodec can be used here."""
    try:
        load_torchcodec()
    except DataError:
        return False
    return True


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise DataError(
            "the reader 'torchcodec' is not installed: pip install 'pytorchvideo_autox3d[torchcodec]'"
        ) from None
    except (RuntimeError, OSError):  # it loads FFmpeg when it is imported
        raise DataError("the reader 'torchcodec' can't load: it finds no shared libraries of FFmpeg") from None


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
