"""A training and a search of two processes, one of which is killed inside an epoch, end bit for bit as without."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine import (
    CrossEntropy,
    Hook,
    Keeping,
    Runtime,
    TrainSettings,
    build_optimizer,
    last_checkpoint,
    make_schedule,
    read_checkpoint,
    train,
)
from pytorchvideo_autox3d.errors import AutoX3DError
from pytorchvideo_autox3d.kernels.depthwise import set_depthwise_kernels
from pytorchvideo_autox3d.search import Policy, SearchSettings, search
from pytorchvideo_autox3d.supernet import Supernet
from tests.engine.helpers import tiny_model, to_float
from tests.integration.test_processes import CLIPS, SharedLoader
from tests.processes import spawn_launched
from tests.search.test_distributed import SPACE, HalfLoader
from tests.soak.harness import tensors

EPOCHS = 2
# Asked for after each step, and so written after the one that follows it.
KEEPING = Keeping(minutes=1e-9)
CPU = torch.device("cpu")


class DieAt(Hook):
    """Kills process 1 before a step; the checkpoint of the step before that is the last."""

    def __init__(self, step: int | None) -> None:
        self.step = step

    def before_step(self, loop) -> None:
        if loop.global_step == self.step and distributed.rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def fit(folder: str, die_at: int | None) -> None:
    """Each process normalises by its own clips and draws its own dropout."""
    model = tiny_model(seed=3, dropout=0.5)
    train(
        model,
        SharedLoader(batches=4, batch_size=CLIPS),
        optimizer=build_optimizer(model, base_lr=0.2),
        schedule=make_schedule(base_lr=0.2, max_epoch=EPOCHS),
        loss=CrossEntropy(),
        runtime=Runtime(device=CPU, preprocess=to_float),
        output_dir=folder,
        settings=TrainSettings(max_epoch=EPOCHS, keeping=KEEPING, log_period=100),
        extra_hooks=[DieAt(die_at)],
    )


def find(folder: str, die_at: int | None) -> None:
    torch.manual_seed(0)
    options = {"input_clip_length": 2, "input_crop_size": 8, "dropout_rate": 0.5}
    supernet = Supernet(SPACE, model_num_class=3, **options)
    search(
        supernet,
        Policy(space=SPACE),
        HalfLoader(batches=3, seed=10),
        HalfLoader(batches=2, seed=20),
        optimizer=build_optimizer(supernet, base_lr=0.1, weight_decay=5e-5),
        schedule=make_schedule(base_lr=0.1, max_epoch=EPOCHS),
        settings=SearchSettings(epochs=EPOCHS, warmup_epochs=1, num_samples=2, log_period=100, keeping=KEEPING),
        budgets=[],
        runtime=Runtime(device=CPU, preprocess=torch.clone),
        output_dir=folder,
        extra_hooks=[DieAt(die_at)],
    )


def both(folder: str, train_dies_at: int | None, search_dies_at: int | None) -> None:
    torch.set_num_threads(1)
    set_depthwise_kernels(False)
    fit(f"{folder}/train", train_dies_at)
    find(f"{folder}/search", search_dies_at)


def run(folder: Path, *, train_dies_at: int | None = None, search_dies_at: int | None = None) -> None:
    distributed.launch(both, str(folder), train_dies_at, search_dies_at, num_processes=2, backend="gloo")


def left(folder: Path) -> dict[str, Any]:
    """All that the last checkpoint holds, by name, but how long steps took."""
    checkpoint = read_checkpoint(last_checkpoint(str(folder)))
    timed = ("_time", ".times.0", ".times.1", ".cpu_seconds")
    return {name: value for name, value in tensors(checkpoint) if not name.endswith(timed)}


def run_and_die(killed: Path) -> None:
    """Once in the training, once in the search."""
    with pytest.raises(AutoX3DError, match=r"^process 1 of the job was killed by SIGKILL"):
        run(killed, train_dies_at=6)
    assert last_checkpoint(str(killed / "train")).endswith("epoch_00002_step_00000002.pyth")
    with pytest.raises(AutoX3DError, match=r"^process 1 of the job was killed by SIGKILL"):
        run(killed, search_dies_at=5)
    assert last_checkpoint(str(killed / "search")).endswith("epoch_00002_step_00000002.pyth")


def test_two_processes_that_were_killed_end_as_two_that_were_not(tmp_path, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(whole)
    with monkeypatch.context() as patch:
        spawn_launched(patch)
        run_and_die(killed)
    run(killed)
    for job in ("train", "search"):
        expected, found = left(whole / job), left(killed / job)
        assert expected.keys() == found.keys()
        assert any("rng_states.1" in name for name in expected)
        for name, value in expected.items():
            same = torch.equal(value, found[name]) if isinstance(value, torch.Tensor) else value == found[name]
            assert same, f"{job}: {name}"
