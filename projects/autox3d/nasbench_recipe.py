"""How a network of the table is trained: the bench data decoded once into memory, and one recipe for every network.

Shapes: V videos, B clips, K classes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pytorchvideo_autox3d.data import ClipNormalize, open_video, read_list
from pytorchvideo_autox3d.data.tools import BENCH_CLASSES, make_bench_data
from pytorchvideo_autox3d.engine import build_optimizer, clip_gradients, make_schedule, set_lr
from pytorchvideo_autox3d.files import atomic_write
from pytorchvideo_autox3d.models import create_autox3d
from pytorchvideo_autox3d.space import Architecture

CLIP_LENGTH, SAMPLING_RATE, CROP = 8, 2, 24
NUM_CLASSES = len(BENCH_CLASSES)
SPLITS = ("train", "val", "test")
_EVAL_BATCH = 96
NORMALIZE = ClipNormalize()


@dataclass(frozen=True)
class Recipe:
    """Muon, a warm-up, half a cosine; tested after a quarter, a half and all of the epochs."""

    epochs: int = 10
    batch_size: int = 32
    optimizer: str = "muon"
    base_lr: float = 0.1
    weight_decay: float = 1e-4
    warmup_share: float = 0.4
    clip_norm: float = 5.0

    @property
    def checkpoints(self) -> list[int]:
        """The epochs after which the network is tested; the last is the end."""
        return sorted({max(1, self.epochs // 4), max(1, self.epochs // 2), self.epochs})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for the card."""
        return asdict(self)


@dataclass(frozen=True)
class Videos:
    """One list decoded: uint8 frames (V, C, T, H, W), and labels."""

    frames_VCTHW: Tensor
    label_V: Tensor

    def __len__(self) -> int:
        return len(self.label_V)

    def centre_clips(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the one clip of every video that is tested: from its first frame, the centre crop."""
        corner = (self.frames_VCTHW.shape[-1] - CROP) // 2
        for start in range(0, len(self), _EVAL_BATCH):
            chosen = slice(start, start + _EVAL_BATCH)
            yield _clip(self.frames_VCTHW[chosen], 0, corner, corner), self.label_V[chosen]


def load_bench(folder: Path) -> dict[str, Videos]:
    """The bench data by split, made and decoded if they are not there yet."""
    make_bench_data(folder)
    return {split: _load(folder, split) for split in SPLITS}


def _load(folder: Path, split: str) -> Videos:
    kept = folder.with_name(f"{folder.name}_{split}.pt")
    if not kept.is_file():
        frames, labels = [], []
        for record in read_list(str(folder / f"{split}.csv"), path_prefix=str(folder)):
            with open_video(record.path) as video:
                frames.append(video.read(list(range(video.metadata().num_frames))).transpose(0, 1))
            labels.append(record.label)
        with atomic_write(kept) as beside:
            torch.save({"frames": torch.stack(frames), "labels": torch.tensor(labels)}, beside)
    state = torch.load(kept, weights_only=True)
    return Videos(state["frames"], state["labels"])


def build(architecture: Architecture, *, stem: str | None = None) -> nn.Module:
    """The network for the bench data; `stem` "table2" takes its temporal convolution away."""
    return create_autox3d(
        architecture, model_num_class=NUM_CLASSES, input_clip_length=CLIP_LENGTH, input_crop_size=CROP,
        dropout_rate=0.0, stem=stem,
    ).to(memory_format=torch.channels_last_3d)  # fmt: skip


class _Pointwise(nn.Conv3d):
    """A convolution of one tap as a product of matrices: a tenth of a step of these small networks less."""

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """As nn.Conv3d."""
        weight_OC = self.weight.flatten(1)
        return F.linear(x_BCTHW.permute(0, 2, 3, 4, 1), weight_OC, self.bias).permute(0, 4, 1, 2, 3)


def train(
    architecture: Architecture, data: dict[str, Videos], recipe: Recipe, *, seed: int, stem: str | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """Train an architecture from scratch by `train_net`; return the network and its curves."""
    torch.manual_seed(seed)
    net = build(architecture, stem=stem)
    return net, train_net(net, data, recipe, seed=seed)


def train_net(net: nn.Module, data: dict[str, Videos], recipe: Recipe, *, seed: int) -> dict[str, Any]:
    """Train a network in place; return its curves.

    They hold by split and checkpoint the number of videos told right and the mean cross-entropy in nats;
    `seconds` is the CPU time of training alone, testing left out.
    """
    net.train()
    for module in net.modules():
        if type(module) is nn.Conv3d and module.kernel_size == module.stride == (1, 1, 1):
            module.__class__ = _Pointwise
    optimizer = build_optimizer(net, method=recipe.optimizer, base_lr=recipe.base_lr, weight_decay=recipe.weight_decay)
    schedule = make_schedule(
        base_lr=recipe.base_lr, max_epoch=recipe.epochs, warmup_epochs=recipe.warmup_share * recipe.epochs,
        cosine_after_warmup=True,
    )  # fmt: skip
    random = np.random.default_rng(seed)
    curves: dict[str, Any] = {f"{split}_{what}": [] for split in ("val", "test") for what in ("right", "loss")}
    seconds = 0.0
    for epoch in range(recipe.epochs):
        start = time.process_time()
        steps = len(data["train"]) // recipe.batch_size
        for step, (clip_BCTHW, label_B) in enumerate(training_clips(data["train"], recipe.batch_size, random)):
            set_lr(optimizer, schedule((epoch + step / steps) / recipe.epochs))
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(net(_prepared(clip_BCTHW)), label_B).backward()
            clip_gradients(net.parameters(), max_norm=recipe.clip_norm)
            optimizer.step()
        seconds += time.process_time() - start
        for split in ("val", "test") if epoch + 1 in recipe.checkpoints else ():
            right, loss = evaluate(net, data[split])
            curves[f"{split}_right"].append(right)
            curves[f"{split}_loss"].append(loss)
    return {**curves, "seconds": seconds}


def evaluate(net: nn.Module, videos: Videos) -> tuple[int, float]:
    """Videos told right, and the mean cross-entropy in nats."""
    logits_VK = logits(net, videos)
    right = int((logits_VK.argmax(dim=1) == videos.label_V).sum())
    return right, float(F.cross_entropy(logits_VK, videos.label_V))


def logits(net: nn.Module, videos: Videos) -> Tensor:
    """(V, K) of each video's centre clip; the network is left in the mode it was in."""
    training = net.training
    net.eval()
    with torch.inference_mode():
        parts = [net(_prepared(clip_BCTHW)) for clip_BCTHW, _ in videos.centre_clips()]
    net.train(training)
    return torch.cat(parts)


def training_clips(videos: Videos, batch_size: int, random: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """An epoch of random clips: one start and crop a batch, and each video mirrored at random in both directions.

    No class changes under either mirroring.
    """
    order = random.permutation(len(videos))
    for first in range(0, len(videos) - batch_size + 1, batch_size):
        chosen = order[first : first + batch_size]
        room = (
            videos.frames_VCTHW.shape[2] - (CLIP_LENGTH - 1) * SAMPLING_RATE,
            videos.frames_VCTHW.shape[-1] - CROP + 1,
        )
        start, top, left = (int(random.integers(count)) for count in (room[0], room[1], room[1]))
        down_B, across_B = (random.integers(0, 2, batch_size) == 1 for _ in range(2))
        crops_VCTHW = _clip(videos.frames_VCTHW, start, top, left).numpy()
        clip_BCTHW = np.empty((batch_size, *crops_VCTHW.shape[1:]), crops_VCTHW.dtype)
        for place, (video, down, across) in enumerate(zip(chosen, down_B, across_B, strict=True)):
            clip_BCTHW[place] = crops_VCTHW[video, :, :, :: -1 if down else 1, :: -1 if across else 1]
        yield torch.from_numpy(clip_BCTHW), videos.label_V[chosen]


def _clip(frames_BCTHW: Tensor, start: int, top: int, left: int) -> Tensor:
    stop = start + (CLIP_LENGTH - 1) * SAMPLING_RATE + 1
    return frames_BCTHW[:, :, start:stop:SAMPLING_RATE, top : top + CROP, left : left + CROP]


def _prepared(clip_BCTHW: Tensor) -> Tensor:
    return NORMALIZE(clip_BCTHW).contiguous(memory_format=torch.channels_last_3d)
