"""A run stopped in mid-epoch and resumed, over real videos and worker processes, sees what one run would have seen."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.data import (
    ClipNormalize,
    FaultPolicy,
    Kinetics,
    Manifest,
    build_loader,
    read_list,
)
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from pytorchvideo_autox3d.engine import (
    CrossEntropy,
    Hook,
    Runtime,
    TrainSettings,
    build_optimizer,
    last_checkpoint,
    make_schedule,
    read_checkpoint,
    train,
)
from pytorchvideo_autox3d.errors import TrainingInterrupted

EPOCHS, STEPS, BATCH = 2, 4, 4
CLIP = {"num_frames": 4, "sampling_rate": 2, "crop_size": 24, "jitter_scales": (24, 32), "auto_augment": "imagenet"}


@pytest.fixture(scope="module")
def lists(tmp_path_factory) -> Path:
    """16 videos in train.csv; in broken.csv the second of them is missing."""
    settings = DemoSettings(train_per_class=2, val_per_class=1, test_per_class=1, num_frames=12)
    folder = make_demo_data(tmp_path_factory.mktemp("data") / "demo", settings=settings, show_progress=False)
    lines = (folder / "train.csv").read_text().splitlines(keepends=True)
    (folder / "broken.csv").write_text("".join([lines[0], "nowhere.mp4 1\n", *lines[2:]]))
    return folder


class Logged(Kinetics):
    """Notes in a file, which the workers share, every key that it decodes."""

    def __init__(self, *, log: Path, **arguments) -> None:
        super().__init__(**arguments)
        self._log = log

    def __getitem__(self, key):
        with self._log.open("a") as file:
            file.write("{} {}\n".format(*key))
        return super().__getitem__(key)


class Seen(Hook):
    """Keeps the clips that reach the network, and asks to stop in one of the steps, as Ctrl-C does."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.clips: list[torch.Tensor] = []
        self._normalize = ClipNormalize((0.45,) * 3, (0.225,) * 3)

    def before_step(self, loop) -> None:
        if loop.global_step == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    def preprocess(self, clip_BCTHW: torch.Tensor) -> torch.Tensor:
        self.clips.append(clip_BCTHW.clone())
        return self._normalize(clip_BCTHW)


def fit(
    manifest: Manifest, folder: Path, seen: Seen, *, log: Path, seed: int = 1, workers: int = 2
) -> Mapping[int, int]:
    """Train a tiny network in `folder`, or go on with what is there; return the faults by video."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv3d(3, 4, (1, 3, 3), bias=False), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(4, 8)
    )
    loader = build_loader(
        Logged(log=log, manifest=manifest, mode="train", **CLIP),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        faults=FaultPolicy("skip"),
    )
    train(
        model,
        loader,
        optimizer=build_optimizer(model, base_lr=0.1),
        schedule=make_schedule(base_lr=0.1, max_epoch=EPOCHS),
        loss=CrossEntropy(),
        runtime=Runtime(device=torch.device("cpu"), preprocess=seen.preprocess),
        output_dir=str(folder),
        settings=TrainSettings(max_epoch=EPOCHS),
        process_extras={"faults": loader.faults},
        extra_hooks=[seen],
    )
    return loader.faults.counts


def decoded(log: Path) -> list[str]:
    return sorted(log.read_text().splitlines())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(last_checkpoint(str(folder)))["model_state"]


@pytest.mark.parametrize(("stop_at", "broken"), [(1, False), (STEPS + 2, True)])
def test_sees_the_rest_and_decodes_nothing_else(lists, tmp_path, stop_at, broken):
    manifest = read_list(str(lists / ("broken.csv" if broken else "train.csv")), path_prefix=str(lists))
    whole, first, second = Seen(), Seen(stop_at), Seen()
    faults = fit(manifest, tmp_path / "whole", whole, log=tmp_path / "whole.log", workers=0)
    with pytest.raises(TrainingInterrupted, match="the same command resumes"):
        fit(manifest, tmp_path / "stopped", first, log=tmp_path / "first.log")
    assert fit(manifest, tmp_path / "stopped", second, log=tmp_path / "second.log", seed=2) == faults
    assert faults == ({1: EPOCHS} if broken else {})

    assert [len(whole.clips), len(first.clips)] == [EPOCHS * STEPS, stop_at + 1]
    pieces = [*first.clips, *second.clips]
    assert all(torch.equal(a, b) for a, b in zip(pieces, whole.clips, strict=True))
    ended, resumed = weights(tmp_path / "whole"), weights(tmp_path / "stopped")
    assert all(torch.equal(ended[name], resumed[name]) for name in ended)

    # In one process decoding follows the batches, so that the whole run's log tells what each step decoded.
    in_order = (tmp_path / "whole.log").read_text().splitlines()
    skipped = sum(len(step) for step in by_steps(in_order, manifest)[: stop_at + 1])
    assert decoded(tmp_path / "second.log") == sorted(in_order[skipped:])


def by_steps(keys: list[str], manifest: Manifest) -> list[list[str]]:
    """The log of one process cut into steps: each ends with its fourth video that is there."""
    steps: list[list[str]] = [[]]
    present = 0
    for key in keys:
        if present == BATCH:
            steps.append([])
            present = 0
        steps[-1].append(key)
        present += os.path.exists(manifest.record(int(key.split()[1])).path)
    return steps
