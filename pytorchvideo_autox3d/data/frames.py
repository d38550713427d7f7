"""Videos as extracted frames, in PySlowFast's frame-list form: a header line, then a line for every frame,

original_vido_id video_id frame_id path labels
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from iopath.common.file_io import g_pathmgr
from PIL import Image
from torch import Tensor

from pytorchvideo_autox3d.data.classes import UNNAMED, ClassNames
from pytorchvideo_autox3d.data.closing import ClosedOnExit
from pytorchvideo_autox3d.data.containers import media_source
from pytorchvideo_autox3d.data.manifest import Manifest, SourceLocations
from pytorchvideo_autox3d.data.video_metadata import VideoMetadata
from pytorchvideo_autox3d.data.views import scaled_size
from pytorchvideo_autox3d.errors import DataError, DecodeError

_HEADER = "original_vido_id"  # spelled so in the lists that are published
_FIELDS = 5
# What frames are extracted as. Pillow would read some fifty forms, one of them (EPS) by running Ghostscript on it.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_MOST_PIXELS = 2**26  # twice 8K


class FramesReader(ClosedOnExit):
    """`VideoReader` over image files, one a frame; see there for the contract.

    Args:
        paths: the images in their order.
        name: the video's, for messages.
        fps: frames a second; the frames of Something-Something's lists were extracted at 30, while its videos have 12.

    Raises:
        DecodeError: there are no images; when frames are read: an image is missing or can't be decoded.
    """

    def __init__(self, paths: Sequence[str], *, name: str, fps: float = 30) -> None:
        if not paths:
            raise DecodeError(f"{name}: has no frames")
        self._paths, self._name, self._fps = paths, name, fps

    def close(self) -> None:
        """Does nothing: no file stays open between reads."""

    def metadata(self) -> VideoMetadata:
        """Length, rate, and the size of the first image."""
        picture = self._open(0)
        return VideoMetadata(len(self._paths), self._fps, picture.height, picture.width)

    def read(self, frames: Sequence[int], *, short_side: int | None = None) -> Tensor:
        """uint8 frames_TCHW, all scaled to the size of the first of them; see `VideoReader.read`."""
        pictures: dict[int, Tensor] = {}
        size: tuple[int, int] | None = None
        for number in sorted(set(frames)):
            picture = self._open(number)
            if size is None:
                size = picture.height, picture.width
                size = size if short_side is None else scaled_size(*size, short_side)
            pictures[number] = self._decoded(number, picture, size)
        return torch.stack([pictures[number] for number in frames]).permute(0, 3, 1, 2)

    def _open(self, number: int) -> Image.Image:
        path = self._paths[number]
        try:
            picture = Image.open(media_source(path, kind="image"), formats=_FORMATS)
        except DecodeError as error:
            raise DecodeError(f"{error} (frame {number} of {self._name})") from None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise DecodeError(f"{path}: not a readable image (frame {number} of {self._name})") from None
        if picture.width * picture.height > _MOST_PIXELS:
            raise DecodeError(f"{path}: {picture.width} x {picture.height} pixels (frame {number} of {self._name})")
        return picture

    def _decoded(self, number: int, picture: Image.Image, size: tuple[int, int]) -> Tensor:
        height, width = size
        with picture:
            try:
                picture.draft("RGB", (width, height))  # a JPEG is decoded at a half or a quarter where that suffices
                scaled = picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
            except (OSError, ValueError, SyntaxError) as error:
                raise DecodeError(f"{self._paths[number]}: can't decode: {error}") from None
        return torch.from_numpy(np.array(scaled))


@dataclass(frozen=True, eq=False)
class FrameManifest(Manifest):
    """A manifest whose videos are frames: path i names the video, and `frames` lists its images.

    Attributes:
        frames: all images one after another, in the form of a manifest, with the number of the video as the label.
        first: int64, N + 1; those of video i are `first[i]` up to `first[i + 1]`.
    """

    frames: Manifest | None = None
    first: Tensor | None = None

    def frame_paths(self, index: int) -> list[str]:
        """The images of a video in their order."""
        assert self.frames is not None
        assert self.first is not None
        start, end = self.first[index : index + 2].tolist()
        return [self.frames.record(i).path for i in range(start, end)]

    def subset(self, indices: Sequence[int]) -> Manifest:
        """The videos at `indices`; they are numbered anew from 0."""
        assert self.frames is not None
        videos = ((self.listed(i), int(self.label[i]), self._listed_frames(i)) for i in indices)
        return with_frames(
            videos, name=self.name, prefix=self.prefix, classes=self.classes, locations=self._locations_of(indices)
        )

    def _listed_frames(self, index: int) -> list[str]:
        assert self.frames is not None
        assert self.first is not None
        start, end = self.first[index : index + 2].tolist()
        return [self.frames.listed(i) for i in range(start, end)]


def with_frames(
    videos: Iterable[tuple[str, int, Sequence[str]]],
    *,
    name: str,
    prefix: str = "",
    classes: ClassNames = UNNAMED,
    locations: SourceLocations | None = None,
) -> FrameManifest:
    """Pack videos that are given as images into a manifest.

    Args:
        videos: for each video its name, its label, and the paths of its frames in order.
        name: the list's name in messages.
        prefix: joined before the path of every image.
        classes: the names of the labels.
        locations: where in the user's files each video stands.

    Raises:
        DataError: there are no videos or no images, or a path can't be the name of a file.
    """
    items: list[tuple[str, int]] = []
    ends = [0]

    def images() -> Iterator[tuple[str, int]]:
        for number, (video, label, paths) in enumerate(videos):
            items.append((video, label))
            ends.append(ends[-1] + len(paths))
            yield from ((path, number) for path in paths)

    frames = Manifest.from_items(images(), name=name, prefix=prefix)
    own = Manifest.from_items(items, name=name, prefix=prefix, classes=classes, locations=locations)
    return FrameManifest(**vars(own), frames=frames, first=torch.tensor(ends, dtype=torch.int64))


def read_frame_list(path: str) -> dict[str, list[str]]:
    """The images of every video, by its name, from a list in PySlowFast's form.

    Raises:
        DataError: the list is missing, or a line (named as file:line) has not its five fields.
    """
    images: dict[str, list[str]] = {}
    try:
        with g_pathmgr.open(path, "r", encoding="utf-8-sig") as file:
            if not file.readline().startswith(_HEADER):
                raise DataError(f"{path}:1: expected the header of a frame list, {_HEADER} ...")
            for number, line in enumerate(file, 2):
                fields = line.split()
                if not fields:
                    continue
                if len(fields) != _FIELDS:
                    raise DataError(f"{path}:{number}: expected {_FIELDS} fields, found {len(fields)}")
                images.setdefault(fields[0], []).append(fields[3])
    except FileNotFoundError:
        raise DataError(f"{path}: no such frame list") from None
    except OSError as error:
        raise DataError(f"{path}: can't read the frame list: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: the frame list is not UTF-8") from None
    return images
