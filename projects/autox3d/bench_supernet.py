"""Supernets over the space of the table of networks, trained on its data: what the scripts about searches share.

Shapes: V videos, B clips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nasbench_recipe
import numpy as np
import simplejson
import torch
from nasbench_recipe import CLIP_LENGTH, CROP, NORMALIZE, NUM_CLASSES, Videos
from torch import Tensor

from pytorchvideo_autox3d.engine import Runtime, build_optimizer, make_schedule, set_lr
from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.files import atomic_write
from pytorchvideo_autox3d.nasbench import NasBench
from pytorchvideo_autox3d.search import Budgets, OneShotSearch, Policy, SearchSettings, WeightAverage, cost_table
from pytorchvideo_autox3d.space import SearchSpace
from pytorchvideo_autox3d.supernet import Supernet

RUNTIME = Runtime(device=torch.device("cpu"), preprocess=NORMALIZE)


@dataclass(frozen=True)
class BenchBatch:
    """Clips of the bench data, as the search's parts take them."""

    clip_BCTHW: Tensor
    label_B: Tensor
    video_B: Tensor
    view_B: Tensor


class TrainingClips:
    """Random clips of a list of videos, another draw each epoch."""

    def __init__(self, videos: Videos, batch_size: int, *, seed: int = 0) -> None:
        self.videos, self.batch_size, self.seed, self.epoch = videos, batch_size, seed, 0

    def __len__(self) -> int:
        return len(self.videos) // self.batch_size

    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[BenchBatch]:
        random = np.random.default_rng([self.seed, self.epoch])
        for clip_BCTHW, label_B in nasbench_recipe.training_clips(self.videos, self.batch_size, random):
            yield _batch(clip_BCTHW, label_B)


class CentreClips:
    """The one clip of every video that networks are tested on."""

    def __init__(self, videos: Videos) -> None:
        self.batches = [_batch(clip_BCTHW, label_B) for clip_BCTHW, label_B in videos.centre_clips()]

    def __len__(self) -> int:
        return len(self.batches)

    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None:
        """The clips are the same in each."""

    def __iter__(self) -> Iterator[BenchBatch]:
        return iter(self.batches)


def _batch(clip_BCTHW: Tensor, label_B: Tensor) -> BenchBatch:
    order = torch.arange(len(label_B))
    return BenchBatch(clip_BCTHW, label_B, order, torch.zeros_like(order))


@dataclass(frozen=True)
class SupernetRecipe:
    """How a supernet is trained; rates and clipping are the table's, and the warm-up takes a fifth."""

    epochs: int = 20
    samples: int = 2
    selection: str = "fair"
    weight_decay: float = 1e-4
    sandwich: bool = False
    sandwich_narrowest: bool = False
    distill: bool = False
    batch_size: int = 32
    optimizer: str = "muon"
    base_lr: float = 0.1
    ema_decay: float = 0.99

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def make_supernet(space: SearchSpace, selection: str) -> Supernet:
    """A fresh supernet for the bench data."""
    return Supernet(
        space, model_num_class=NUM_CLASSES, channel_selection=selection, input_clip_length=CLIP_LENGTH,
        input_crop_size=CROP, dropout_rate=0.0,
    )  # fmt: skip


def train_supernet(
    space: SearchSpace,
    videos: Videos,
    recipe: SupernetRecipe,
    *,
    seed: int,
    progress: Callable[[], object] | None = None,
) -> tuple[Supernet, WeightAverage, dict[str, float]]:
    """Train on uniform samples; return the supernet, its average, and what it cost (`Ledger`)."""
    torch.manual_seed(seed)
    supernet = make_supernet(space, recipe.selection).train()
    RUNTIME.place(supernet)
    average = WeightAverage(supernet, recipe.ema_decay)
    policy = Policy(space=space)
    step = OneShotSearch(
        supernet,
        policy,
        optimizer=build_optimizer(
            supernet, method=recipe.optimizer, base_lr=recipe.base_lr, weight_decay=recipe.weight_decay
        ),
        policy_optimizer=torch.optim.Adam(policy.parameters()),
        budgets=Budgets(cost_table(supernet)),
        settings=SearchSettings(
            epochs=recipe.epochs, warmup_epochs=0, num_samples=recipe.samples, sandwich=recipe.sandwich,
            sandwich_narrowest=recipe.sandwich_narrowest, distill=recipe.distill, clip_norm=5.0, shared=True, seed=seed,
        ),
        runtime=RUNTIME,
    )  # fmt: skip
    schedule = make_schedule(
        base_lr=recipe.base_lr, max_epoch=recipe.epochs, warmup_epochs=0.2 * recipe.epochs, cosine_after_warmup=True
    )
    loader = TrainingClips(videos, recipe.batch_size, seed=seed)
    for epoch in range(recipe.epochs):
        loader.set_epoch(epoch)
        for number, batch in enumerate(loader):
            set_lr(step.optimizer, schedule((epoch + number / len(loader)) / recipe.epochs))
            where = SimpleNamespace(epoch=epoch, step_in_epoch=number, steps_per_epoch=len(loader))
            step.weight_step([batch], where)
            average.update()
        if progress is not None:
            progress()
    return supernet, average, step.ledger.to_dict()


def kept_supernets(
    folder: Path,
    name: str,
    space: SearchSpace,
    data: dict[str, Videos],
    recipe: SupernetRecipe,
    *,
    seed: int,
    progress: Callable[[], object] | None = None,
) -> tuple[dict[str, Any], dict[str, Supernet]]:
    """A supernet and its average from `folder`, or trained now and kept there; recipe and cost, and both by name.

    Raises:
        DataError: the file is of another space or recipe.
    """
    kept = folder / f"{name.replace(', ', '_').replace(' ', '_')}_{seed}.pt"
    if not kept.is_file():
        supernet, average, cost = train_supernet(space, data["train"], recipe, seed=seed, progress=progress)
        states = {"weights": supernet.state_dict(), "average": average.supernet.state_dict()}
        with atomic_write(kept) as beside:
            torch.save({"space": space.name, "recipe": recipe.to_dict(), "cost": cost, **states}, beside)
    state = torch.load(kept, weights_only=True)
    if (state.get("space"), state["recipe"]) != (space.name, recipe.to_dict()):
        raise DataError(f"{kept}: trained in another space or by another recipe, {state['recipe']}; remove it")
    supernets = {}
    for key in ("weights", "average"):
        supernets[key] = make_supernet(space, recipe.selection)
        supernets[key].load_state_dict(state[key])
        RUNTIME.place(supernets[key])
    return state, supernets


def accuracies_so_far(bench: NasBench, journal: Path, *, seed: int = 0) -> dict[int, float]:
    """Final test top-1 in percent by network, from the table and from what the journal has beyond it.

    Raises:
        DataError: the journal has trainings of another space or recipe than the table's.
    """
    known = {int(n): float(value) for n, value in enumerate(bench.accuracies(seed=seed)) if not np.isnan(value)}
    for path in sorted(journal.glob(f"{seed}_*.json")):
        row = simplejson.loads(path.read_text(encoding="utf8"))
        if (row.get("space"), row["recipe"]) != (bench.space.name, bench.table.card["recipe"]):
            raise DataError(f"{path}: of another space or recipe than the table's")
        known[int(path.stem.split("_")[1])] = 100.0 * row["test_right"][-1] / bench.table.card["videos"]["test"]
    return known


def bootstrap_interval(
    statistic: Any, columns: Sequence[Sequence[float]], *, repeats: int = 1000
) -> tuple[float, float]:
    """The 95% interval of a statistic of several columns over resampled rows."""
    table = np.array(columns, dtype=float)
    random = np.random.default_rng(0)
    values = [statistic(*table[:, random.integers(0, table.shape[1], table.shape[1])]) for _ in range(repeats)]
    values = [value for value in values if not np.isnan(value)]  # a draw of equal rows has no order
    if not values:
        return float("nan"), float("nan")
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)
