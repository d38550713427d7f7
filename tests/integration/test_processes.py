"""Two and three processes against one with the whole batch: training, test, and a search by either way of sharing.

Each process of a job does all of it; what they end with is compared with one process, not with each other.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.profiler import ProfilerActivity, profile

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.data import ClipBatch, ClipLoader, build_loader
from pytorchvideo_autox3d.engine import (
    CounterHook,
    CrossEntropy,
    EvalSettings,
    EvalViews,
    Hook,
    Runtime,
    TrainSettings,
    build_optimizer,
    make_schedule,
    multiview_scores,
    train,
)
from pytorchvideo_autox3d.engine.protocols import Loader
from pytorchvideo_autox3d.kernels.depthwise import set_depthwise_kernels
from pytorchvideo_autox3d.layers.norms import SyncBatchNorm3d, replace_norms
from pytorchvideo_autox3d.search import Budget, Budgets, Policy, SearchSettings, cost_table
from pytorchvideo_autox3d.search.step import ParsecSearch
from pytorchvideo_autox3d.supernet import Supernet
from tests.engine.helpers import Clips, SyntheticLoader, ViewLoader, tiny_model, to_float
from tests.search.conftest import At
from tests.search.test_distributed import SPACE

CLIPS, STEPS, VIDEOS = 6, 20, 7  # clips divide by one, two and three processes, videos by neither two nor three
LISTED = 23  # videos: three batches, and five that no epoch's batches have
RUNTIME = Runtime(device=torch.device("cpu"), preprocess=to_float)


def share(batch: Clips) -> Clips:
    """This process's part of a batch, as the sampler gives it."""
    own = slice(distributed.rank(), None, distributed.world_size())
    return Clips(batch.clip_BCTHW[own], batch.label_B[own], batch.video_B[own], batch.view_B[own])


class SharedLoader(SyntheticLoader):
    """An epoch's last batch has one clip less: two processes have three and two of them, three two, two and one."""

    def __iter__(self):
        for number, batch in enumerate(super().__iter__(), start=self.start_batch):
            yield share(batch if number < self.batches - 1 else first_clips(batch, CLIPS - 1))


def first_clips(batch: Clips, clips: int) -> Clips:
    return Clips(*(getattr(batch, one.name)[:clips] for one in fields(Clips)))


class Listed:
    """Videos of a list, decoded as what their number and the epoch make them."""

    def __len__(self) -> int:
        return LISTED

    def __getitem__(self, key) -> ClipBatch:
        draw = torch.Generator().manual_seed(1000 * key[0] + key[1])
        clip_BCTHW = torch.randint(0, 256, (1, 3, 2, 4, 4), generator=draw, dtype=torch.uint8)
        video_B = torch.tensor([key[1]])
        return ClipBatch(clip_BCTHW, video_B % 3, video_B, torch.zeros_like(video_B))


def listed_loader() -> ClipLoader:
    """This process's part of a list that the batches don't divide."""
    processes = distributed.world_size()
    return build_loader(
        Listed(), batch_size=CLIPS // processes, shuffle=True, drop_last=True, rank=distributed.rank(),
        world_size=processes,
    )  # fmt: skip


class FirstGradient(Hook):
    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def after_step(self, loop) -> None:
        if loop.global_step == 1:
            self.gradients = [parameter.grad.clone() for parameter in self.model.parameters()]


def trained(folder: str, loader: Loader, epochs: int) -> dict[str, Any]:
    """Gradients of the first step; weights, running means and variances after the last; the means of each epoch."""
    model = tiny_model(seed=3)
    replace_norms(model, partial(SyncBatchNorm3d, num_devices=None))
    first = FirstGradient(model)
    history = train(
        model,
        loader,
        optimizer=build_optimizer(model, base_lr=0.2),
        schedule=make_schedule(base_lr=0.2, max_epoch=epochs),
        loss=CrossEntropy(),
        runtime=RUNTIME,
        output_dir=folder,
        settings=TrainSettings(max_epoch=epochs, checkpoint_period=epochs, log_period=100),
        extra_hooks=[first],
    )
    weights = [parameter.detach() for parameter in model.parameters()]
    return {
        "gradients": first.gradients,
        "weights": weights,
        "statistics": [model[1].running_mean, model[1].running_var],
        "history": [record[name] for record in history for name in ("loss", "top1_err", "grad_norm")],
    }


def scored() -> dict[str, torch.Tensor]:
    """Scores of uneven shares, and how often each view was scored over all processes."""
    loader = ViewLoader(videos=VIDEOS, views=3)
    loader.own = loader.own[distributed.rank() :: distributed.world_size()]
    views = EvalViews(loader=loader, num_videos=VIDEOS, num_views=3, num_classes=3)
    result = multiview_scores(tiny_model(seed=3), views, runtime=RUNTIME, settings=EvalSettings())
    given = [video for part in distributed.all_gather_objects(loader.own) for video in part]
    return {"scores": torch.from_numpy(result.score_NK), "videos": torch.tensor(sorted(given))}


@contextmanager
def recorded(sent: list[int]) -> Iterator[None]:
    """Note the number of elements of each message that is reduced over the processes."""
    reduce = dist.all_reduce

    def noted(tensor, *args, **options):
        sent.append(tensor.numel())
        return reduce(tensor, *args, **options)

    dist.all_reduce = noted
    try:
        yield
    finally:
        dist.all_reduce = reduce


class Messages(Hook):
    """The number of elements of each message that a step reduces over the processes, as torch's profiler sees them.

    DistributedDataParallel sends its own from C++, which no function of Python's in between would see.
    """

    def __init__(self) -> None:
        self.of_steps: list[list[int]] = []

    def before_step(self, loop) -> None:
        self._profile = profile(activities=[ProfilerActivity.CPU], record_shapes=True)
        self._profile.start()

    def after_step(self, loop) -> None:
        self._profile.stop()
        shapes = [event.input_shapes[0] for event in self._profile.events() if event.name == "gloo:all_reduce"]
        self.of_steps.append([math.prod(shape) for shape in shapes])


def training_messages(folder: str) -> list[list[int]]:
    """Of each of four updates, made of two batches; process 1 counts skipped videos."""
    model, messages = tiny_model(seed=3), Messages()
    train(
        model,
        SharedLoader(batches=8, batch_size=CLIPS),
        optimizer=build_optimizer(model, base_lr=0.2),
        schedule=make_schedule(base_lr=0.2, max_epoch=1),
        loss=CrossEntropy(),
        runtime=RUNTIME,
        output_dir=folder,
        settings=TrainSettings(max_epoch=1, checkpoint_period=1, log_period=100, accumulation=2),
        extra_hooks=[messages, CounterHook(lambda: {"skipped": 1.0, "bad_videos": 1.0})],
    )
    return messages.of_steps


def searched(spread: str, sent: list[int]) -> dict[str, list[torch.Tensor]]:
    """Ten steps of alpha and of the weights, by clips or by samples; five samples, for two processes or three.

    A supernet normalises by a process's own clips. So four clips come under six sets of labels, and a share of the
    batch is a share of the sets: each has the statistics of the whole, and a process alone must end the same. Every
    third batch has five sets, which neither two processes nor three divide.
    """
    torch.manual_seed(0)
    options = {"input_clip_length": 2, "input_crop_size": 8, "dropout_rate": 0.0}
    supernet, policy = Supernet(SPACE, model_num_class=3, **options), Policy(space=SPACE)
    low, high = Budgets(cost_table(supernet)).range("gflops")
    step = ParsecSearch(
        supernet,
        policy,
        optimizer=build_optimizer(supernet, base_lr=0.05, weight_decay=5e-5),
        policy_optimizer=torch.optim.Adam(policy.parameters(), lr=0.02),
        budgets=Budgets(cost_table(supernet), [Budget("gflops", (low + high) / 2)]),
        settings=SearchSettings(epochs=2, warmup_epochs=0, num_samples=5, spread=spread),
        runtime=Runtime(device=torch.device("cpu"), preprocess=to_float),
    )
    supernet.train()
    weights, draw = [], torch.Generator().manual_seed(5)
    for number in range(STEPS // 2):
        clip_BCTHW = torch.randint(0, 256, (4, 3, 2, 8, 8), generator=draw, dtype=torch.uint8)
        sets = torch.randint(3, (5 if number % 3 == 2 else 6, 4), generator=draw)
        own = sets[distributed.rank() :: distributed.world_size()] if spread == "clips" else sets
        label_B = own.flatten()
        batch = Clips(clip_BCTHW.repeat(len(own), 1, 1, 1, 1), label_B, label_B, label_B)
        at = At(step_in_epoch=number)
        weights.append(step.policy_step([batch], at).weight_K)
        with recorded(sent):
            weights.append(step.weight_step([batch], at)[0].weight_K)
    return {
        "importance weights": weights,
        "alpha": [policy.alpha.detach()],
        "weights": [parameter.detach() for parameter in supernet.parameters()],
    }


def everything(folder: str) -> list[dict]:
    torch.set_num_threads(1)
    set_depthwise_kernels(False)  # compiling them would take longer than all of this
    own = {
        "training": trained(f"{folder}/batches", SharedLoader(batches=STEPS // 2, batch_size=CLIPS), 2),
        "training over a list": trained(f"{folder}/list", listed_loader(), 3),
        "test": scored(),
        "search by clips": searched("clips", by_clips := []),
        "search by samples": searched("samples", by_samples := []),
        "messages": {"clips": by_clips, "samples": by_samples, "training": training_messages(f"{folder}/messages")},
    }
    return distributed.all_gather_objects(own)


def check_messages(clips: list[int], samples: list[int], training: list[list[int]]) -> None:
    """Each step reduces its gradients once, and besides the count of clips and the losses.

    A training's other message has loss, two errors, the gradient's norm, two counters, the clips, and whether to stop
    (by two signals) or to save: ten numbers.
    """
    gradients = sum(parameter.numel() for parameter in tiny_model().parameters())
    assert training == [[1, gradients, 10]] * 4
    steps = STEPS // 2
    assert len(clips) == 7 * steps
    assert all(clips[7 * step : 7 * step + 6] == [1] * 6 and clips[7 * step + 6] > 100 for step in range(steps))
    assert len(samples) == 2 * steps
    assert all(samples[2 * step] == 5 and samples[2 * step + 1] > 100 for step in range(steps))


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict:
    (found,) = everything(str(tmp_path_factory.mktemp("one")))
    assert found.pop("messages") == {"clips": [], "samples": [], "training": [[]] * 4}
    return found


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_end_as_one_with_the_whole_batch(alone, tmp_path: Path, processes):
    together = distributed.launch(everything, str(tmp_path), num_processes=processes, backend="gloo")
    assert len(together) == processes
    assert alone["search by clips"]["alpha"][0].any()
    assert alone["test"]["videos"].tolist() == list(range(VIDEOS))
    for found in together:
        check_messages(**found.pop("messages"))
    for rank, found in enumerate(together):
        for kind, expected in alone.items():
            for name, values in expected.items():
                where = f"{kind}, {name}, process {rank}"
                torch.testing.assert_close(
                    found[kind][name], values, rtol=1e-5, atol=1e-5, msg=lambda text, where=where: f"{where}: {text}"
                )
