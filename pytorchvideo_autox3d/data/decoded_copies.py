"""Decoded copies: each video of a small data set is decoded once, kept as an array in a folder, and read from there.

Opening and decoding a short video takes longer than a small network takes to learn from it. Even opening its copy
takes a quarter of such an item's time, so a data set keeps copies in memory while there is room. The others are
mapped, so that clips read only what they need of them, and workers share the system's cache of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from pytorchvideo_autox3d.data.array_reader import ArrayReader
from pytorchvideo_autox3d.data.decode import VideoReader
from pytorchvideo_autox3d.errors import DecodeError
from pytorchvideo_autox3d.files import atomic_write

# Longer videos are read as if there were no copies: all frames of one are in memory while it is copied.
LARGEST_COPY = 512 * 2**20  # bytes
# All copies that one data set keeps in the memory of one process.
MOST_KEPT = 256 * 2**20  # bytes
# What a .npy file can say of itself is the names of its fields: that of the pixels gives the rate.
_FIELD = "rgb at {} frames a second"


@dataclass
class _Kept:
    """The copies in this process's memory."""

    readers: dict[Path, ArrayReader]
    num_bytes: int = 0


@dataclass(frozen=True)
class DecodedCopies:
    """Opens videos by their copies, and makes those that are missing.

    Args:
        open_video: opens a video by its path.
        folder: of the copies; made when the first is written. A video that has changed (by size or time) gets another.
        short_side: pixels; larger pictures are scaled down to it, and clips can't be larger.
    """

    open_video: Callable[[str], VideoReader]
    folder: str
    short_side: int
    _kept: _Kept = field(default_factory=lambda: _Kept({}), init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": _Kept({})}  # a worker that starts afresh reads its own

    def __call__(self, path: str) -> VideoReader:
        """Open a video of which a copy is there, or made now where it is not too large.

        Raises:
            DecodeError: there is no copy, and the video can't be read.
            AutoX3DError: the copy can't be written.
        """
        copy = self.copy_of(path)
        return self._kept.readers.get(copy) or self._read(path, copy) or self._made(path, copy)

    def holds(self, path: str) -> bool:
        """Whether a video has its copy."""
        copy = self.copy_of(path)
        return copy in self._kept.readers or copy.is_file()

    def copy_of(self, path: str) -> Path:
        """The file of a video's copy, whether or not it is there."""
        try:
            found = os.stat(path)
            version = (found.st_size, found.st_mtime_ns)
        except OSError:  # in an object store, or not there at all
            version = (0, 0)
        identity = repr((os.path.abspath(path), version, self.short_side))
        digest = blake2b(identity.encode(), digest_size=12).hexdigest()
        return Path(self.folder, f"{Path(path).stem[:60]}-{digest}.npy")

    def _read(self, path: str, copy: Path) -> ArrayReader | None:
        """A reader of the copy's file, kept where there is room; None where there is no file, or a broken one."""
        try:
            size = copy.stat().st_size
            fits = self._kept.num_bytes + size <= MOST_KEPT
            frames = np.load(copy, mmap_mode=None if fits else "c", allow_pickle=False)
            (named,) = frames.dtype.names or ("",)
            before, after = _FIELD.split("{}")
            fps = float(named.removeprefix(before).removesuffix(after))
        except (OSError, ValueError, EOFError):
            return None
        reader = ArrayReader(frames.view(np.uint8), fps=fps, name=path)
        if fits:
            self._kept.readers[copy] = reader
            self._kept.num_bytes += size
        return reader

    def _made(self, path: str, copy: Path) -> VideoReader:
        """A reader of the copy, written now; of the video where it is too large to copy or has frames that are lost."""
        video = self.open_video(path)
        try:
            found = video.metadata()
            native = min(found.height, found.width)
            share = min(1.0, self.short_side / native)
            if found.num_frames * found.height * found.width * 3 * share**2 > LARGEST_COPY:
                return video
            scaled = self.short_side if self.short_side < native else None
            frames_TCHW = video.read(range(found.num_frames), short_side=scaled)
        except DecodeError:
            video.close()
            return self.open_video(path)  # clips that need none of what is lost go on as ever
        except BaseException:
            video.close()
            raise
        video.close()
        frames_THWC = np.ascontiguousarray(frames_TCHW.permute(0, 2, 3, 1).numpy())
        named = np.dtype([(_FIELD.format(repr(found.fps)), np.uint8)])
        with atomic_write(copy) as beside, beside.open("wb") as file:
            np.save(file, frames_THWC.view(named))
        return ArrayReader(frames_THWC, fps=found.fps, name=path)
