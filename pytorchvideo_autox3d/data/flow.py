"""Optical flow as videos beside the videos: frame t of `<video>.flow.mp4` is the movement from frame t to t + 1.

Its red is the movement to the right, its green that downwards, in pixels of the flow video's own size, cut off at
`LIMIT` either way as I3D does: value 128 is standstill, 1 and 255 are the limit. Blue is always 128. The last frame
repeats the one before. So a flow video has the frames, the rate and the shape of its video, and everything that finds
frames in videos finds flow in it. Shapes: N frames, C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from iopath.common.file_io import g_pathmgr
from torch import Tensor

from pytorchvideo_autox3d.data.closing import ClosedOnExit
from pytorchvideo_autox3d.data.decode import VideoReader
from pytorchvideo_autox3d.data.manifest import Manifest
from pytorchvideo_autox3d.data.video_metadata import VideoMetadata
from pytorchvideo_autox3d.errors import DataError, DecodeError

MODALITIES = {"rgb": 3, "flow": 2, "rgb+flow": 5}
"""What a clip can hold, with the number of its channels."""
# The movement that the largest value stands for, in pixels a frame (I3D, section 2.5, cuts flow off there).
LIMIT = 20.0
STILL = 128
_STEPS = 127


def flow_path(video: str) -> str:
    """The path of a video's flow."""
    return f"{video}.flow.mp4"


def flow_values(flow_HW2: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Turn movement in pixels a frame into the values 1..255 of a flow video."""
    steps = np.rint(flow_HW2 * (_STEPS / LIMIT))
    return (np.clip(steps, -_STEPS, _STEPS) + STILL).astype(np.uint8)


def mirrored_flow(flow_TCHW: Tensor) -> Tensor:
    """Correct, in place, the flow of a clip that was mirrored left to right: what moved right moves left.

    Args:
        flow_TCHW: uint8; the last two channels are the flow.
    """
    across = flow_TCHW[:, -2]
    flow_TCHW[:, -2] = 2 * STILL - across.clamp(min=1).to(torch.int16)
    return flow_TCHW


def clip_pictures(clip_CTHW: Tensor) -> Tensor:
    """A uint8 clip of any modality as pictures (3, T, H, W) to look at.

    Flow is shown as its files show it; where the clip has both, the flow lies below the colours.
    """
    colours = clip_CTHW.shape[0] - MODALITIES["flow"]
    if clip_CTHW.shape[0] == MODALITIES["rgb"]:
        return clip_CTHW
    flow_CTHW = torch.cat((clip_CTHW[colours:], torch.full_like(clip_CTHW[:1], STILL)))
    return torch.cat((clip_CTHW[:colours], flow_CTHW), dim=2) if colours else flow_CTHW


def check_flow(manifest: Manifest) -> None:
    """Check that every video of the list has its flow.

    Raises:
        DataError: some have none; names the first, and the command that makes it.
    """
    absent = [index for index, path in enumerate(manifest.paths) if not g_pathmgr.isfile(flow_path(path))]
    if absent:
        first = manifest.with_location(absent[0], manifest.record(absent[0]).path)
        raise DataError(
            f"{len(absent)} of {len(manifest)} videos have no optical flow, the first {first}: "
            f"run autox3d make-flow {manifest.name}"
        )


class FlowReader(ClosedOnExit):
    """A reader of a video's flow, with colours before it or without.

    Args:
        open_video: opens a video by its path.
        path: the video that the flow is of.
        colours: put the video's own red, green and blue first.

    Raises:
        DecodeError: the video or its flow can't be read, or the flow is that of another video; names the file.
    """

    def __init__(self, open_video: Callable[[str], VideoReader], path: str, *, colours: bool) -> None:
        self._flow = open_video(flow_path(path))
        self._video: VideoReader | None = None
        if not colours:
            return
        self._video = open_video(path)
        ours, theirs = self._flow.metadata().num_frames, self._video.metadata().num_frames
        if ours != theirs:
            self.close()
            raise DecodeError(f"{flow_path(path)}: has {ours} frames, the video has {theirs}; make the flow anew")

    def metadata(self) -> VideoMetadata:
        """Length, rate and size: the video's with `colours`, else those of the flow."""
        return (self._video or self._flow).metadata()

    def read(self, frames: Sequence[int], *, short_side: int | None = None) -> Tensor:
        """uint8 frames_NCHW of 2 channels, or of 5 with colours; see `VideoReader.read`.

        However the pictures are scaled, movement stays in pixels of the flow video's own size, as is usual for
        two-stream networks.
        """
        flow_NCHW = self._flow.read(frames, short_side=short_side)[:, :2]
        if self._video is None:
            return flow_NCHW
        if short_side is None:
            short_side = min(flow_NCHW.shape[-2:])
        rgb_NCHW = self._video.read(frames, short_side=short_side)
        # Both keep the video's aspect, up to the pixel that rounding each time costs.
        height, width = (min(sizes) for sizes in zip(rgb_NCHW.shape[-2:], flow_NCHW.shape[-2:], strict=True))
        return torch.cat((rgb_NCHW[..., :height, :width], flow_NCHW[..., :height, :width]), dim=1)

    def close(self) -> None:
        """Close both files."""
        self._flow.close()
        if self._video is not None:
            self._video.close()
