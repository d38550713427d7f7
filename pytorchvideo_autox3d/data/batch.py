"""What the data sets and loaders give: clips with their labels, and which video and view each one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClipBatch:
    """B clips.

    Attributes:
        clip_BCTHW: uint8 RGB, or float where the data set was given a normalisation; stored channels last.
        label_B: int64 classes.
        video_B: int64; each clip's video, by its place in the list.
        view_B: int64; which view of its video each clip is; 0 in training.
    """

    clip_BCTHW: Tensor
    label_B: Tensor
    video_B: Tensor
    view_B: Tensor

    def __len__(self) -> int:
        return len(self.label_B)

    def pin_memory(self) -> ClipBatch:
        """The batch in page-locked memory, from which copies to a GPU overlap with its work."""
        return ClipBatch(*(tensor.pin_memory() for tensor in self._tensors()))

    def _tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.clip_BCTHW, self.label_B, self.video_B, self.view_B


def collate_clips(items: Sequence[ClipBatch]) -> ClipBatch:
    """Join batches along B; their clips must be of one size."""
    if len(items) == 1:
        return items[0]
    return ClipBatch(
        torch.cat([item.clip_BCTHW for item in items]),
        torch.cat([item.label_B for item in items]),
        torch.cat([item.video_B for item in items]),
        torch.cat([item.view_B for item in items]),
    )
