"""A small video problem for the engine: synthetic clips, a loader that draws them anew each epoch, a tiny model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Clips:
    clip_BCTHW: Tensor
    label_B: Tensor
    video_B: Tensor
    view_B: Tensor


class SyntheticLoader:
    """uint8 clips whose brightness tells the class; another draw each epoch, from the epoch alone."""

    def __init__(self, *, batches: int = 4, batch_size: int = 4, num_classes: int = 3, seed: int = 0) -> None:
        self.batches, self.batch_size, self.num_classes, self.seed = batches, batch_size, num_classes, seed
        self.epoch, self.start_batch = 0, 0

    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None:
        self.epoch, self.start_batch = epoch, start_batch

    def __len__(self) -> int:
        return self.batches

    def __iter__(self):
        generator = torch.Generator().manual_seed(1000 * self.seed + self.epoch)
        start, self.start_batch = self.start_batch, 0
        for index in range(self.batches):
            label_B = torch.randint(self.num_classes, (self.batch_size,), generator=generator)
            noise = torch.randint(0, 60, (self.batch_size, 3, 2, 4, 4), generator=generator)
            clip_BCTHW = (noise + 60 * label_B[:, None, None, None, None]).to(torch.uint8)
            video_B = torch.arange(self.batch_size) + index * self.batch_size
            if index < start:
                continue
            yield Clips(clip_BCTHW, label_B, video_B, torch.zeros_like(video_B))


class ViewLoader:
    """Test mode: a batch is one video with all of its views; the share of one process, padded as samplers do."""

    def __init__(self, *, videos: int, views: int, rank: int = 0, world_size: int = 1, num_classes: int = 3) -> None:
        self.videos, self.views, self.num_classes = videos, views, num_classes
        padded = -(-videos // world_size) * world_size
        self.own = [index % videos for index in range(padded)][rank::world_size]

    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None:
        pass

    def __len__(self) -> int:
        return len(self.own)

    def __iter__(self):
        for video in self.own:
            generator = torch.Generator().manual_seed(video)
            clip_BCTHW = torch.randint(0, 256, (self.views, 3, 2, 4, 4), generator=generator).to(torch.uint8)
            label_B = torch.full((self.views,), video % self.num_classes)
            yield Clips(clip_BCTHW, label_B, torch.full((self.views,), video), torch.arange(self.views))


def tiny_model(num_classes: int = 3, *, seed: int = 0, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        # As a dense 3 x 3 x 3 kernel, torch 2.14's bf16 gradient on the CPU reads memory that was never written.
        nn.Conv3d(3, 4, (1, 3, 3), padding=(0, 1, 1), bias=False),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(4, num_classes),
    )


def to_float(clip_BCTHW: Tensor) -> Tensor:
    return clip_BCTHW.float() / 255 - 0.4
