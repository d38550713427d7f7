"""A video reader over frames that are already in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from pytorchvideo_autox3d.data.closing import ClosedOnExit
from pytorchvideo_autox3d.data.video_metadata import VideoMetadata
from pytorchvideo_autox3d.data.views import scaled_size
from pytorchvideo_autox3d.errors import DataError, DecodeError

_LAYOUTS = {3: (0, 3, 1, 2), 1: (0, 1, 2, 3), 0: (1, 0, 2, 3)}  # place of the colours -> what gives frames_TCHW


class ArrayReader(ClosedOnExit):
    """`VideoReader` over an array; see there for the contract.

    Args:
        frames: uint8 RGB in 0..255: (T, H, W, 3), or (T, 3, H, W), or (3, T, H, W) as PyTorchVideo has it.
        fps: frames a second.
        name: the video's, for messages.

    Raises:
        DataError: the array is of another type or shape.
    """

    def __init__(self, frames: np.ndarray | Tensor, *, fps: float, name: str = "the array") -> None:
        tensor = torch.from_numpy(frames) if isinstance(frames, np.ndarray) else frames
        shape = tuple(tensor.shape)
        if tensor.dtype != torch.uint8:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise DataError(f"{name}: holds {kind} values of shape {shape}, expected uint8 RGB frames in 0..255")
        colours = next((place for place in _LAYOUTS if len(shape) == 4 and shape[place] == 3), None)
        if colours is None or not tensor.numel():
            raise DataError(f"{name}: is of shape {shape}, expected frames (T, H, W, 3), (T, 3, H, W) or (3, T, H, W)")
        self._frames_TCHW = tensor.permute(_LAYOUTS[colours])
        self._fps = fps

    def close(self) -> None:
        """Does nothing: there is no file."""

    def metadata(self) -> VideoMetadata:
        """Length and size from the array's shape, the rate as given."""
        frames, _, height, width = self._frames_TCHW.shape
        return VideoMetadata(frames, self._fps, height, width)

    def frames(self, wanted: Callable[[int], bool], *, short_side: int | None = None) -> Iterator[tuple[int, Tensor]]:
        """The wanted frames one after another; see `FrameSource.frames`."""
        for number in filter(wanted, range(len(self._frames_TCHW))):
            yield number, self.read([number], short_side=short_side)[0]

    def read(self, frames: Sequence[int], *, short_side: int | None = None) -> Tensor:
        """Frames by number as uint8 frames_TCHW; see `VideoReader.read`."""
        chosen_TCHW = self._frames_TCHW[torch.as_tensor(frames, dtype=torch.int64)]
        height, width = chosen_TCHW.shape[-2:]
        if short_side is None or min(height, width) == short_side:
            return chosen_TCHW
        scaled: Tensor = resize(chosen_TCHW, list(scaled_size(height, width, short_side)), antialias=True)
        return scaled


def read_array(path: str) -> np.ndarray:
    """Frames in a .npy file, which stay on the disk until they are needed.

    Raises:
        DecodeError: there is no such file, or it is not a readable array.
    """
    try:
        frames: np.ndarray = np.load(path, mmap_mode="c", allow_pickle=False)
    except FileNotFoundError:
        raise DecodeError(f"{path}: no such file") from None
    except (ValueError, OSError, EOFError) as error:
        raise DecodeError(f"{path}: not a readable .npy array: {str(error).splitlines()[0]}") from None
    return frames
