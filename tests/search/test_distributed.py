"""Two processes search as one: the same samples, likelihoods and gradients averaged."""

from dataclasses import fields, replace

import pytest
import torch

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine import Runtime, build_optimizer, make_schedule
from pytorchvideo_autox3d.kernels.depthwise import set_depthwise_kernels
from pytorchvideo_autox3d.search import Budget, Budgets, Policy, SearchSettings, cost_table, inherited_score, search
from pytorchvideo_autox3d.space import GroupSpec, HeadSpec, SearchSpace, StemSpec
from pytorchvideo_autox3d.supernet import Supernet
from tests.search.conftest import ToyBatch, ToyLoader

SPACE = SearchSpace(
    "toy",
    (
        GroupSpec((4, 8), ((1, 3), (3, 3)), (1.5, 3.0), ("none",), blocks=1, stride=2),
        GroupSpec((8,), ((3, 3),), (1.5,), ("none", "glore"), blocks=1),
    ),
    StemSpec(4),
    HeadSpec(8, 8),
)


class HalfLoader(ToyLoader):
    """Batches of two halves of the same clips under different labels; a process of two has the half of its rank.

    Batch statistics are then those of the whole batch in every process, so that a process alone must end the same.
    """

    def __iter__(self):
        labels = torch.Generator().manual_seed(77 + self.seed + self.epoch)
        others = torch.randint(self.classes, (self.batches, self.batch_size), generator=labels)[self.start_batch :]
        for batch, other_B in zip(super().__iter__(), others, strict=True):
            halves = [batch, replace(batch, label_B=other_B, video_B=batch.video_B + self.batch_size)]
            yield joined(halves[distributed.rank() :: distributed.world_size()])


def joined(batches: list[ToyBatch]) -> ToyBatch:
    return ToyBatch(*(torch.cat([getattr(batch, one.name) for batch in batches]) for one in fields(ToyBatch)))


def search_in_this_process(output_dir: str) -> list[dict]:
    torch.set_num_threads(1)
    set_depthwise_kernels(False)  # compiling them would take longer than the search
    torch.manual_seed(0)
    options = {"input_clip_length": 2, "input_crop_size": 8, "dropout_rate": 0.0}
    supernet, policy = Supernet(SPACE, model_num_class=3, **options), Policy(space=SPACE)
    # Running means that differ from process to process, by 0 and 1, end as their mean.
    supernet.stem.norm.running_mean += distributed.rank() if distributed.is_distributed() else 0.5
    low, high = Budgets(cost_table(supernet)).range("gflops")
    history = search(
        supernet,
        policy,
        HalfLoader(batches=2, seed=10),
        HalfLoader(batches=2, seed=20),
        optimizer=build_optimizer(supernet, base_lr=0.1, nesterov=False, weight_decay=5e-5),
        schedule=make_schedule(base_lr=0.1, max_epoch=2),
        settings=SearchSettings(epochs=2, warmup_epochs=1, num_samples=2, log_period=100),
        budgets=[Budget("gflops", (low + high) / 2)],
        runtime=Runtime(device=torch.device("cpu"), preprocess=_unchanged),
        output_dir=output_dir,
    )
    score = inherited_score(
        supernet,
        HalfLoader(batches=3, seed=30),
        HalfLoader(batches=2, seed=40),
        bn_batches=2,
        runtime=Runtime(device=torch.device("cpu"), preprocess=_unchanged),
    )
    state = {**supernet.state_dict(), "alpha": policy.alpha.detach()}
    return distributed.all_gather_objects({"state": state, "history": history, "score": score(policy.most_likely())})


def _unchanged(clip: torch.Tensor) -> torch.Tensor:
    return clip


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("two")
    return distributed.launch(search_in_this_process, str(folder), num_processes=2, backend="gloo")


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict:
    (result,) = search_in_this_process(str(tmp_path_factory.mktemp("one")))
    return result


def test_processes_end_alike(processes):
    first, second = (process["state"] for process in processes)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    assert first["alpha"].any()


def test_processes_end_as_one_with_the_whole_batch(processes, alone):
    for name, tensor in processes[0]["state"].items():
        # Unbiased variances depend on the number of clips, which a process has half as many of.
        if not name.endswith(("running_var", "num_batches_tracked")):
            torch.testing.assert_close(tensor, alone["state"][name], rtol=1e-5, atol=1e-5, msg=name)
    for ours, theirs in zip(processes[0]["history"], alone["history"], strict=True):
        for key in ("loss", "ess", "entropy", "grad_norm"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-5), key
    assert processes[0]["history"][1]["policy_loss"] == pytest.approx(alone["history"][1]["policy_loss"], rel=1e-5)


def test_processes_score_as_one_with_all_clips(processes, alone):
    scores = [process["score"] for process in processes]
    assert scores == pytest.approx([alone["score"]] * 2)
    assert 0 < alone["score"] < 100
