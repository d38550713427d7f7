"""Two processes search as one: the same samples, likelihoods and gradients averaged."""

import torch

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.kernels.depthwise import set_depthwise_kernels
from pytorchvideo_autox3d.search import Budget, Budgets, Policy, SearchSettings, cost_table, search
from pytorchvideo_autox3d.space import GroupSpec, HeadSpec, SearchSpace, StemSpec
from pytorchvideo_autox3d.supernet import Supernet
from tests.search.conftest import ToyLoader

SPACE = SearchSpace(
    "toy",
    (
        GroupSpec((4, 8), ((1, 3), (3, 3)), (1.5, 3.0), ("none",), blocks=1, stride=2),
        GroupSpec((8,), ((3, 3),), (1.5,), ("none", "glore"), blocks=1),
    ),
    StemSpec(4),
    HeadSpec(8, 8),
)


def search_in_this_process(output_dir: str) -> list[dict[str, torch.Tensor]]:
    torch.set_num_threads(1)
    set_depthwise_kernels(False)  # compiling them would take longer than the search
    torch.manual_seed(0)
    options = {"input_clip_length": 2, "input_crop_size": 8, "dropout_rate": 0.0}
    supernet, policy = Supernet(SPACE, model_num_class=3, **options), Policy(space=SPACE)
    low, high = Budgets(cost_table(supernet)).range("gflops")
    search(
        supernet,
        policy,
        # Other clips in each process.
        ToyLoader(batches=2, seed=10 + distributed.rank()),
        ToyLoader(batches=2, seed=20 + distributed.rank()),
        settings=SearchSettings(epochs=2, warmup_epochs=1, num_samples=2, weight_lr=0.1, log_period=100),
        budgets=[Budget("gflops", (low + high) / 2)],
        preprocess=_unchanged,
        device=torch.device("cpu"),
        output_dir=output_dir,
    )
    state = {**supernet.state_dict(), "alpha": policy.alpha.detach()}
    return distributed.all_gather_objects(state)


def _unchanged(clip: torch.Tensor) -> torch.Tensor:
    return clip


def test_processes_end_alike(tmp_path):
    first, second = distributed.launch(search_in_this_process, str(tmp_path), num_processes=2, backend="gloo")
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    assert first["alpha"].any()
