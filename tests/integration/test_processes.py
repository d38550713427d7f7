"""Two and three processes against one with the whole batch: training, test, and a search by either way of sharing.

Each process of a job does all of it; what they end with is compared with one process, not with each other.
"""

from functools import partial
from pathlib import Path

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
    build_optimizer,
    make_schedule,
    multiview_scores,
    train,
)
from pytorchvideo_autox3d.kernels.depthwise import set_depthwise_kernels
from pytorchvideo_autox3d.layers.norms import SyncBatchNorm3d, replace_norms
from pytorchvideo_autox3d.search import Budget, Budgets, Policy, SearchSettings, cost_table
from pytorchvideo_autox3d.search.step import ParsecSearch
from pytorchvideo_autox3d.supernet import Supernet
from tests.engine.helpers import Clips, SyntheticLoader, ViewLoader, tiny_model, to_float
from tests.search.conftest import At
from tests.search.test_distributed import SPACE

CLIPS, STEPS, VIDEOS = 6, 20, 7  # clips divide by one, two and three processes, videos by neither two nor three
RUNTIME = Runtime(device=torch.device("cpu"), preprocess=to_float)


def share(batch: Clips) -> Clips:
    """This process's part of a batch, as the sampler gives it."""
    own = slice(distributed.rank(), None, distributed.world_size())
    return Clips(batch.clip_BCTHW[own], batch.label_B[own], batch.video_B[own], batch.view_B[own])


class SharedLoader(SyntheticLoader):
    def __iter__(self):
        return map(share, super().__iter__())


class FirstGradient(Hook):
    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def after_step(self, loop) -> None:
        if loop.global_step == 1:
            self.gradients = [parameter.grad.clone() for parameter in self.model.parameters()]


def trained(folder: str) -> dict[str, list[torch.Tensor]]:
    """Gradients of the first step; weights, running means and variances after the twentieth."""
    model = tiny_model(seed=3)
    replace_norms(model, partial(SyncBatchNorm3d, num_devices=None))
    first = FirstGradient(model)
    train(
        model,
        SharedLoader(batches=STEPS // 2, batch_size=CLIPS),
        optimizer=build_optimizer(model, base_lr=0.2),
        schedule=make_schedule(base_lr=0.2, max_epoch=2),
        loss=CrossEntropy(),
        runtime=RUNTIME,
        output_dir=folder,
        settings=TrainSettings(max_epoch=2, checkpoint_period=2, log_period=100),
        extra_hooks=[first],
    )
    weights = [parameter.detach() for parameter in model.parameters()]
    return {
        "gradients": first.gradients,
        "weights": weights,
        "statistics": [model[1].running_mean, model[1].running_var],
    }


def scored() -> dict[str, torch.Tensor]:
    """Scores of uneven shares, and how often each view was scored over all processes."""
    loader = ViewLoader(videos=VIDEOS, views=3)
    loader.own = loader.own[distributed.rank() :: distributed.world_size()]
    views = EvalViews(loader=loader, num_videos=VIDEOS, num_views=3, num_classes=3)
    result = multiview_scores(tiny_model(seed=3), views, runtime=RUNTIME, settings=EvalSettings())
    given = [video for part in distributed.all_gather_objects(loader.own) for video in part]
    return {"scores": torch.from_numpy(result.score_NK), "videos": torch.tensor(sorted(given))}


def searched(spread: str) -> dict[str, list[torch.Tensor]]:
    """Ten steps of alpha and of the weights, by clips or by samples; five samples, for two processes or three.

    A supernet normalises by a process's own clips. So four clips come under six sets of labels, and a share of the
    batch is a share of the sets: each has the statistics of the whole, and a process alone must end the same.
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
        sets = torch.randint(3, (6, 4), generator=draw)
        own = sets[distributed.rank() :: distributed.world_size()] if spread == "clips" else sets
        label_B = own.flatten()
        batch = Clips(clip_BCTHW.repeat(len(own), 1, 1, 1, 1), label_B, label_B, label_B)
        at = At(step_in_epoch=number)
        weights.append(step.policy_step([batch], at).weight_K)
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
        "training": trained(folder),
        "test": scored(),
        "search by clips": searched("clips"),
        "search by samples": searched("samples"),
    }
    return distributed.all_gather_objects(own)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict:
    return everything(str(tmp_path_factory.mktemp("one")))[0]


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_end_as_one_with_the_whole_batch(alone, tmp_path: Path, processes):
    together = distributed.launch(everything, str(tmp_path), num_processes=processes, backend="gloo")
    assert len(together) == processes
    assert alone["search by clips"]["alpha"][0].any()
    assert alone["test"]["videos"].tolist() == list(range(VIDEOS))
    for rank, found in enumerate(together):
        for kind, expected in alone.items():
            for name, values in expected.items():
                where = f"{kind}, {name}, process {rank}"
                torch.testing.assert_close(
                    found[kind][name], values, rtol=1e-5, atol=1e-5, msg=lambda text, where=where: f"{where}: {text}"
                )
