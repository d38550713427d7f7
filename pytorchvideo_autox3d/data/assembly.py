"""Puts clips together from decoded frames, copying each pixel once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pytorchvideo_autox3d.data.transforms import cropped
from pytorchvideo_autox3d.data.views import View


def taken(frames_NCHW: Tensor, rows: Sequence[int]) -> Tensor:
    """The frames of one clip; without a copy where the clip is all of them in order, as in training.

    Args:
        frames_NCHW: the decoded frames.
        rows: the places in it of the clip's T frames.
    """
    if list(rows) == list(range(len(frames_NCHW))):
        return frames_NCHW
    return frames_NCHW[torch.tensor(rows)]


def assemble_views(frames_NCHW: Tensor, rows: Sequence[Sequence[int]], views: Sequence[View], size: int) -> Tensor:
    """The clips of a test in one tensor, clips_BTCHW stored channels last; each pixel is copied once.

    Args:
        frames_NCHW: uint8; the frames that the views need.
        rows: for each view, the places in `frames_NCHW` of its T frames.
        views: give the crop of each clip.
        size: side of the square clip.
    """
    channels = frames_NCHW.shape[1]
    clips_BTHWC = torch.empty(len(views), len(rows[0]), size, size, channels, dtype=torch.uint8)
    for clip_THWC, row, view in zip(clips_BTHWC, rows, views, strict=True):
        torch.index_select(cropped(frames_NCHW, view, size).permute(0, 2, 3, 1), 0, torch.tensor(row), out=clip_THWC)
    return clips_BTHWC.permute(0, 1, 4, 2, 3)


def channels_last(clips_BTCHW: Tensor) -> Tensor:
    """The clips with their channels innermost in memory, as decoders give and convolutions want them."""
    return clips_BTCHW.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
