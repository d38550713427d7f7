"""What the search experiments share: demo clips in memory, a short training recipe, searches, results that resume.

All experiments run on the demo data (eight camera motions, 8 x 32^2 clips) on a CPU. They answer questions about the
method in small; none of their figures is comparable with Kinetics.

Shapes: V videos, B clips, T frames.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejson
import torch
from torch import Tensor

from pytorchvideo_autox3d.data import ClipBatch, ClipNormalize, open_video, read_list
from pytorchvideo_autox3d.data.tools import make_demo_data
from pytorchvideo_autox3d.engine import (
    CrossEntropy,
    Runtime,
    build_optimizer,
    clip_gradients,
    make_schedule,
    recalibrate_bn,
    set_lr,
    setup_logging,
)
from pytorchvideo_autox3d.eval_mode import evaluating
from pytorchvideo_autox3d.files import atomic_write, write_text
from pytorchvideo_autox3d.models import create_autox3d
from pytorchvideo_autox3d.search import Budget, Budgets, Policy, SearchSettings, cost_table, search
from pytorchvideo_autox3d.space import Architecture, SearchSpace
from pytorchvideo_autox3d.supernet import Supernet

CPU = torch.device("cpu")
CLIP_LENGTH, SAMPLING_RATE, CROP, SHORT_SIDE = 8, 2, 32, 36
NUM_CLASSES, BATCH_SIZE = 8, 32
NORMALIZE = ClipNormalize()
RUNTIME = Runtime(device=CPU, preprocess=NORMALIZE)
SPACES = Path(__file__).parent / "spaces"
MODEL = {"model_num_class": NUM_CLASSES, "input_clip_length": CLIP_LENGTH, "input_crop_size": CROP}


@dataclass(frozen=True)
class Videos:
    """A list decoded once, as uint8 frames of 36 pixels on the short side."""

    frames_VCTHW: Tensor
    label_V: Tensor

    def __len__(self) -> int:
        return len(self.label_V)

    def subset(self, indices: list[int]) -> Videos:
        """The videos at `indices`."""
        return Videos(self.frames_VCTHW[indices], self.label_V[indices])


class Clips:
    """Batches of random training clips, or of `views` fixed ones a video; a loader as the engine wants it."""

    def __init__(self, videos: Videos, *, train: bool, seed: int = 0, views: int = 1) -> None:
        self.videos, self.train, self.seed, self.views = videos, train, seed, views
        self._epoch, self._start_batch = 0, 0

    def __len__(self) -> int:
        return len(self.videos) // BATCH_SIZE if self.train else -(-len(self.videos) // BATCH_SIZE)

    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None:
        """Choose what the next iteration draws, and the batch it starts at."""
        self._epoch, self._start_batch = epoch, start_batch

    def __iter__(self) -> Iterator[ClipBatch]:
        random = np.random.default_rng([self.seed, self._epoch])
        order = random.permutation(len(self.videos)) if self.train else np.arange(len(self.videos))
        start, self._start_batch = self._start_batch, 0
        for number in range(len(self)):
            chosen = order[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]
            for view in range(1 if self.train else self.views):
                clips = [self._clip(int(video), view, random) for video in chosen]
                if number < start:  # its draws were needed
                    continue
                video_B = torch.from_numpy(chosen.astype(np.int64))
                label_B = self.videos.label_V[video_B]
                yield ClipBatch(torch.stack(clips), label_B, video_B, torch.full_like(video_B, view))

    def _clip(self, video: int, view: int, random: np.random.Generator) -> Tensor:
        frames = self.videos.frames_VCTHW[video]
        slack = [
            frames.shape[1] - (CLIP_LENGTH - 1) * SAMPLING_RATE - 1,
            frames.shape[2] - CROP,
            frames.shape[3] - CROP,
        ]
        if self.train:
            start, top, left = (int(random.integers(room + 1)) for room in slack)
        else:
            start = slack[0] * (view + 1) // (self.views + 1)
            top, left = slack[1] // 2, slack[2] // 2
        stop = start + (CLIP_LENGTH - 1) * SAMPLING_RATE + 1
        return frames[:, start:stop:SAMPLING_RATE, top : top + CROP, left : left + CROP]


def load_videos(folder: Path, split: str) -> Videos:
    """Decode a list of the demo data, or take what an earlier run kept beside it."""
    kept = folder / f"decoded_{split}_{SHORT_SIDE}.pt"
    if not kept.is_file():
        frames, labels = [], []
        for record in read_list(str(folder / f"{split}.csv"), path_prefix=str(folder)):
            with open_video(record.path) as video:
                numbers = list(range(video.metadata().num_frames))
                frames.append(video.read(numbers, short_side=SHORT_SIDE).transpose(0, 1))
            labels.append(record.label)
        with atomic_write(kept) as beside:
            torch.save({"frames": torch.stack(frames), "labels": torch.tensor(labels)}, beside)
    state = torch.load(kept, weights_only=True)
    return Videos(state["frames"], state["labels"])


def train_standalone(
    architecture: Architecture, train: Videos, *, epochs: int, seed: int = 0, base_lr: float = 0.1
) -> torch.nn.Module:
    """Train a network from scratch by one short recipe: SGD with Nesterov, warm-up and half-cosine, precise BN."""
    torch.manual_seed(seed)
    net = create_autox3d(architecture, dropout_rate=0.1, **MODEL).to(memory_format=torch.channels_last_3d)
    loader = Clips(train, train=True, seed=seed)
    optimizer = build_optimizer(net, base_lr=base_lr, weight_decay=5e-5)
    schedule = make_schedule(base_lr=base_lr, max_epoch=epochs, warmup_epochs=0.1 * epochs, warmup_start_lr=0.01)
    loss = CrossEntropy()
    for epoch in range(epochs):
        loader.set_epoch(epoch)
        for step, batch in enumerate(loader):
            set_lr(optimizer, schedule((epoch + step / len(loader)) / epochs))
            optimizer.zero_grad()
            loss(net(NORMALIZE(batch.clip_BCTHW)), batch.label_B).backward()
            clip_gradients(net.parameters(), max_norm=5.0)
            optimizer.step()
    recalibrate_bn(net, loader, num_batches=8, runtime=RUNTIME)
    return net.eval()


def accuracy(net: torch.nn.Module, videos: Videos, *, views: int = 3) -> float:
    """Top-1 in percent, softmax averaged over `views` clips a video."""
    scores_VK = torch.zeros(len(videos), NUM_CLASSES)
    with evaluating(net):
        for batch in Clips(videos, train=False, views=views):
            scores_VK.index_add_(0, batch.video_B, net(NORMALIZE(batch.clip_BCTHW)).softmax(dim=1))
    return 100.0 * float((scores_VK.argmax(dim=1) == videos.label_V).float().mean())


@dataclass(frozen=True)
class Searched:
    """A finished search and what it took."""

    supernet: Supernet
    policy: Policy
    budgets: Budgets
    history: list[dict[str, Any]]
    weights: Videos

    @property
    def seconds(self) -> float:
        """Time computing, over all resumed runs."""
        return sum(record["compute_time"] for record in self.history)


def run_search(
    space: SearchSpace,
    train: Videos,
    *,
    target_gflops: float,
    output: Path,
    seed: int,
    epochs: int,
    selection: str = "fair",
    cost_weight: float = 1.0,
    **settings: Any,
) -> Searched:
    """Search, or load the search that ended in `output`; half of the videos for the weights, half for alpha."""
    torch.manual_seed(seed)
    supernet = Supernet(space, channel_selection=selection, dropout_rate=0.1, **MODEL)
    policy = Policy(space=space)
    order = np.random.default_rng(seed).permutation(len(train)).tolist()
    halves = [train.subset(order[: len(train) // 2]), train.subset(order[len(train) // 2 :])]
    values = {
        "epochs": epochs,
        "warmup_epochs": epochs // 3,
        # Without it no supernet here leaves chance within the warm-up.
        "sandwich": True,
        "warmup_samples": 2,
        "num_samples": 6,
        "control_variate": True,
        "policy_lr": 0.05,
        "clip_norm": 5.0,
        "checkpoint_period": 5,
        "log_period": 1000,
        "seed": seed,
    }
    limits = [Budget("gflops", target_gflops, cost_weight)]
    history = search(
        supernet,
        policy,
        Clips(halves[0], train=True, seed=seed),
        Clips(halves[1], train=True, seed=seed + 1000),
        optimizer=build_optimizer(supernet, base_lr=0.1, weight_decay=5e-5),
        schedule=make_schedule(base_lr=0.1, max_epoch=epochs),
        settings=SearchSettings(**{**values, **settings}),
        budgets=limits,
        runtime=RUNTIME,
        output_dir=str(output),
    )
    return Searched(supernet, policy, Budgets(cost_table(supernet), limits), history, halves[0])


class Store:
    """Results by key in a JSON-lines file: what is there is not computed again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf8") if path.is_file() else ""
        # A run that was killed while it wrote may have left half a line.
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            write_text(path, whole)
        self.values: dict[str, Any] = dict(simplejson.loads(line) for line in whole.splitlines())

    def get(self, key: str, compute: Any) -> Any:
        """The value of `key`, computed and kept if it is not there."""
        if key not in self.values:
            self.values[key] = compute()
            with self.path.open("a", encoding="utf8") as file:
                file.write(simplejson.dumps([key, self.values[key]]) + "\n")
        return self.values[key]


def standalone_result(architecture: Architecture, train: Videos, val: Videos, test: Videos, **recipe: Any) -> dict:
    """Accuracy on both held-out lists of one network trained on its own, and the seconds of its training."""
    start = time.perf_counter()
    net = train_standalone(architecture, train, **recipe)
    seconds = time.perf_counter() - start
    return {"val": accuracy(net, val), "test": accuracy(net, test), "seconds": seconds}


def key_of(architecture: Architecture) -> str:
    """An architecture as a key: its candidate indices."""
    return "-".join(map(str, architecture.indices))


def parse_arguments(description: str) -> argparse.Namespace:
    """The arguments of every experiment; `--quick` runs all of it in a minute, to see that it runs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=Path("demo/data"), help="the demo data; made if not there")
    parser.add_argument("--output", type=Path, default=Path("output/experiments"), help="searches and partial results")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results", help="JSON and plots")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6, help="of training a network on its own")
    parser.add_argument("--search-epochs", type=int, default=36)
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch: does it run?")
    args = parser.parse_args()
    if args.quick:
        args.seeds, args.epochs, args.search_epochs = 1, 1, 3
    torch.set_num_threads(1)
    setup_logging()
    make_demo_data(args.data)
    return args
