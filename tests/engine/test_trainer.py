"""Whole trainings on the tiny problem: learning, exact resume, faults, fine-tuning, two processes."""

import json
import os
import signal
from functools import partial

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine import (
    CrossEntropy,
    EvalSettings,
    EvalViews,
    Hook,
    Runtime,
    TrainSettings,
    Validation,
    build_optimizer,
    last_checkpoint,
    make_schedule,
    read_checkpoint,
    train,
)
from pytorchvideo_autox3d.errors import TrainingError, TrainingInterrupted
from pytorchvideo_autox3d.layers.norms import SubBatchNorm3d, SyncBatchNorm3d, replace_norms
from tests.engine.helpers import SyntheticLoader, ViewLoader, tiny_model, to_float

VALIDATION = Validation(
    views=EvalViews(loader=ViewLoader(videos=4, views=1), num_videos=4, num_views=1, num_classes=3),
    settings=EvalSettings(),
)
TIMES = {"data_time", "compute_time"}


def fit(folder, *, max_epoch=3, model=None, loader=None, lr=0.1, hooks=(), loss=None, **arguments):
    """Train the tiny model; returns it with its history. Few settings, of which `arguments` are `train`'s own."""
    model = model or tiny_model(dropout=0.3)
    values = {"checkpoint_period": 1, "eval_period": 2, "log_period": 2, "precise_bn_batches": 2}
    settings = TrainSettings(max_epoch=max_epoch, **{**values, **arguments.pop("settings", {})})
    arguments.setdefault("validation", VALIDATION)
    history = train(
        model,
        loader or SyntheticLoader(),
        optimizer=build_optimizer(model, base_lr=lr),
        schedule=make_schedule(base_lr=lr, max_epoch=max_epoch),
        loss=loss or CrossEntropy(label_smoothing=0.1),
        runtime=Runtime(device=torch.device("cpu"), preprocess=to_float),
        output_dir=str(folder),
        settings=settings,
        extra_hooks=hooks,
        **arguments,
    )
    return model, history


def without_times(history):
    return [{key: value for key, value in record.items() if key not in TIMES} for record in history]


def assert_same_end(one, other):
    """Two folders' last checkpoints agree bit for bit, generators included."""
    contents = [read_checkpoint(last_checkpoint(str(folder))) for folder in (one, other)]
    for key in ("model_state", "optimizer_state", "rng_states"):
        flat = [torch.utils._pytree.tree_leaves(content[key]) for content in contents]
        for a, b in zip(*flat, strict=True):
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
    histories = [without_times(content["loop_state"]["history"]) for content in contents]
    assert histories[0] == histories[1]


class StopAt(Hook):
    def __init__(self, step):
        self.step = step

    def before_step(self, loop):
        if loop.global_step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


class Kill(Hook):
    """Dies in mid-epoch as a killed process does: nothing is saved."""

    def __init__(self, step):
        self.step = step

    def before_step(self, loop):
        if loop.global_step == self.step:
            raise ConnectionAbortedError


def test_learns_and_keeps_a_record(tmp_path):
    loader = SyntheticLoader(batches=12, batch_size=8)
    _, history = fit(tmp_path, max_epoch=8, loader=loader, lr=0.3, loss=CrossEntropy())
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert history[-1]["top1_err"] < history[0]["top1_err"]
    assert [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()] == history
    assert {"epoch", "lr", "loss", "top1_err", "top5_err", "grad_norm", "data_time", "compute_time"} <= history[
        0
    ].keys()
    assert [record["epoch"] for record in history if "val" in record] == [2, 4, 6, 8]
    assert history[1]["val"]["top1_err"] == 100 - history[1]["val"]["top1_acc"]
    assert last_checkpoint(str(tmp_path)).endswith("checkpoint_epoch_00008.pyth")


@pytest.mark.parametrize("kill_at", [4, 6, 11])
def test_killed_and_resumed_ends_bit_identical(tmp_path, kill_at):
    fit(tmp_path / "whole")
    with pytest.raises(ConnectionAbortedError):
        fit(tmp_path / "killed", hooks=[Kill(kill_at)])
    fit(tmp_path / "killed", model=tiny_model(seed=7, dropout=0.3))
    assert_same_end(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("stop_at", [2, 7])
def test_interrupted_in_mid_epoch_and_resumed_ends_bit_identical(tmp_path, stop_at):
    fit(tmp_path / "whole")
    with pytest.raises(TrainingInterrupted, match=r"saved .*checkpoint_epoch_\d+.*\.pyth: the same command resumes"):
        fit(tmp_path / "stopped", hooks=[StopAt(stop_at)])
    fit(tmp_path / "stopped", model=tiny_model(seed=7, dropout=0.3))
    assert_same_end(tmp_path / "whole", tmp_path / "stopped")


class LosesItsWorkers(SyntheticLoader):
    """Ctrl-C reaches the loader's workers before the first batch of the second epoch is there."""

    def __iter__(self):
        if self.epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)
            raise RuntimeError("DataLoader worker exited")
        yield from super().__iter__()


def test_a_stop_before_the_first_update_leaves_the_whole_epochs_checkpoint_alone(tmp_path):
    file = tmp_path / "checkpoints" / "checkpoint_epoch_00001.pyth"
    numbers = set()
    for _ in range(2):  # right after it was saved, then right after it was resumed from
        with pytest.raises(TrainingInterrupted, match=r"saved .*checkpoint_epoch_00001\.pyth: the same"):
            fit(tmp_path, loader=LosesItsWorkers())
        numbers.add((file.stat().st_ino, file.stat().st_mtime_ns))
    assert len(numbers) == 1
    assert [path.name for path in file.parent.glob("checkpoint_*")] == [file.name]


def test_a_stop_after_an_epoch_that_saves_nothing_is_saved(tmp_path):
    with pytest.raises(TrainingInterrupted, match=r"saved .*checkpoint_epoch_00001\.pyth: the same"):
        fit(tmp_path, loader=LosesItsWorkers(), settings={"checkpoint_period": 9})
    assert last_checkpoint(str(tmp_path)).endswith("checkpoint_epoch_00001.pyth")


def test_a_finished_training_is_not_repeated(tmp_path):
    _, history = fit(tmp_path)
    again, repeated = fit(tmp_path, model=tiny_model(seed=3, dropout=0.3))
    assert repeated == history
    assert torch.equal(again[6].weight, read_checkpoint(last_checkpoint(str(tmp_path)))["model_state"]["6.weight"])


def test_a_nan_loss_leaves_the_last_checkpoint_intact(tmp_path):
    def poisoned(logits_BK, target):
        poisoned.calls += 1
        return CrossEntropy()(logits_BK, target) * (float("nan") if poisoned.calls == 6 else 1.0)

    poisoned.calls = 0
    with pytest.raises(TrainingError, match=r"epoch 2, step 2 of 4: the loss is nan"):
        fit(tmp_path, loss=poisoned)
    content = read_checkpoint(last_checkpoint(str(tmp_path)))
    assert content["epoch"] == 0
    assert all(torch.isfinite(tensor).all() for tensor in content["model_state"].values())


def test_fine_tuning_and_going_on_from_a_given_file(tmp_path):
    fit(tmp_path / "first")
    file = last_checkpoint(str(tmp_path / "first"))
    _, history = fit(tmp_path / "longer", max_epoch=4, checkpoint_file=file)
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]

    before = tiny_model(5)[6].weight.clone()
    tuned, history = fit(
        tmp_path / "tuned",
        max_epoch=1,
        lr=1e-9,
        model=tiny_model(5),
        validation=None,
        checkpoint_file=file,
        checkpoint_epoch_reset=True,
    )
    assert [record["epoch"] for record in history] == [1]
    torch.testing.assert_close(tuned[0].weight, read_checkpoint(file)["model_state"]["0.weight"])
    torch.testing.assert_close(tuned[6].weight, before)

    # Other classes start afresh without being told to: no optimiser's state fits the new classifier.
    _, history = fit(tmp_path / "other", max_epoch=1, model=tiny_model(5), validation=None, checkpoint_file=file)
    assert [record["epoch"] for record in history] == [1]


def test_the_own_last_checkpoint_goes_before_a_given_file(tmp_path):
    fit(tmp_path / "first", max_epoch=1)
    given = last_checkpoint(str(tmp_path / "first"))
    fit(tmp_path / "second", max_epoch=2)
    _, history = fit(tmp_path / "second", max_epoch=3, checkpoint_file=given)
    assert [record["epoch"] for record in history] == [1, 2, 3]
    _, fresh = fit(tmp_path / "second", max_epoch=1, auto_resume=False)
    assert [record["epoch"] for record in fresh] == [1]


class Share(SyntheticLoader):
    """One process's neighbouring clips of each batch."""

    def __iter__(self):
        size = self.batch_size // distributed.world_size()
        part = slice(distributed.rank() * size, (distributed.rank() + 1) * size)
        for batch in super().__iter__():
            yield type(batch)(*(getattr(batch, name)[part] for name in vars(batch)))


def plain_model() -> nn.Module:
    """Without BN and dropout the gradient of two halves is that of the whole."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(3, 4, (1, 3, 3)), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))


class MeansOfBN(Hook):
    """The running means of a BN after every step, as each process has them: one (processes, C) a step."""

    def __init__(self, norm):
        self.norm, self.steps = norm, []

    def after_step(self, loop):
        self.steps.append(torch.stack(distributed.all_gather_objects(self.norm.running_mean.clone())))


NORMS = {"parts": partial(SubBatchNorm3d, num_splits=2), "sync": SyncBatchNorm3d}


def train_share(folder: str, norm: str) -> dict:
    """Two epochs on this process's share; what must not depend on the number of processes."""
    model = plain_model() if norm == "none" else tiny_model()
    if norm in NORMS:
        replace_norms(model, NORMS[norm])
    hooks = [] if norm == "none" else [MeansOfBN(model[1])]
    settings = {"accumulation": 2, "precise_bn_batches": 0}
    _, history = fit(folder, model=model, loader=Share(), validation=None, max_epoch=2, settings=settings, hooks=hooks)
    return {
        "parameters": [parameter.detach() for parameter in model.parameters()],
        "losses": [record["loss"] for record in history],
        "means": [step for hook in hooks for step in hook.steps],
        "mean": getattr(model[1], "running_mean", None),
        "variance": getattr(model[1], "running_var", None),
    }


def train_shares(folder: str, norms: tuple[str, ...]) -> dict[str, dict]:
    return {norm: train_share(f"{folder}/{norm}", norm) for norm in norms}


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    results = distributed.launch(train_shares, str(folder), ("none", "own", "sync"), num_processes=2, backend="gloo")
    return folder, results


def assert_trained_alike(alone: dict, together: dict) -> None:
    for ours, theirs in zip(alone["parameters"], together["parameters"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert alone["losses"] == pytest.approx(together["losses"], rel=1e-5)


def test_two_processes_train_as_one(tmp_path, two_processes):
    folder, together = two_processes
    assert_trained_alike(train_share(str(tmp_path), "none"), together["none"])
    content = read_checkpoint(last_checkpoint(str(folder / "none")))
    assert content["model_state"].keys() == plain_model().state_dict().keys()
    assert len(content["rng_states"]) == 2


def test_synchronised_bn_trains_as_bn_over_the_whole_batch(tmp_path, two_processes):
    alone, together = train_share(str(tmp_path), "own"), two_processes[1]["sync"]
    assert_trained_alike(alone, together)
    for one, both in zip(alone["means"], together["means"], strict=True):
        torch.testing.assert_close(both, one.expand_as(both), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(together["variance"], alone["variance"], rtol=1e-5, atol=1e-6)


def test_each_process_normalises_by_its_own_clips_and_moves_its_own_statistics(tmp_path, two_processes):
    """Two processes are one that normalises each half of its batch by itself; the mean of the two running means is its.

    That holds at every step only if no process is given another's statistics.
    """
    alone, together = train_share(str(tmp_path), "parts"), two_processes[1]["own"]
    assert_trained_alike(alone, together)
    for (one,), both in zip(alone["means"], together["means"], strict=True):
        assert not torch.allclose(both[0], both[1], rtol=1e-3)
        torch.testing.assert_close(both.mean(0), one, rtol=1e-5, atol=1e-6)
    # After the last epoch, before it is saved, all processes are given the mean of theirs.
    torch.testing.assert_close(together["mean"], together["means"][-1].mean(0), rtol=1e-6, atol=0)
