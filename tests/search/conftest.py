from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from pytorchvideo_autox3d.search import Policy
from pytorchvideo_autox3d.space import GroupSpec, HeadSpec, SearchSpace, StemSpec
from pytorchvideo_autox3d.supernet import Supernet


@pytest.fixture(autouse=True)
def _plain_convolutions():
    """The depthwise kernels are compiled at their first use, which takes longer than any test here."""
    with depthwise_kernels(False):
        yield


@dataclass(frozen=True)
class At:
    """Where a loop stands, as a step asks."""

    epoch: int = 0
    step_in_epoch: int = 0
    steps_per_epoch: int = 10

    def files_at_fault(self, at_fault: bool) -> str:
        return ""


@dataclass(frozen=True)
class ToyBatch:
    clip_BCTHW: Tensor
    label_B: Tensor
    video_B: Tensor
    view_B: Tensor


class ToyLoader:
    """Noise whose mean tells the class; the order and the noise depend on the epoch alone."""

    def __init__(self, *, batches: int, batch_size: int = 8, classes: int = 3, seed: int = 0) -> None:
        self.batches, self.batch_size, self.classes, self.seed = batches, batch_size, classes, seed
        self.epoch, self.start_batch = 0, 0

    def __len__(self) -> int:
        return self.batches

    def set_epoch(self, epoch: int, *, start_batch: int = 0) -> None:
        self.epoch, self.start_batch = epoch, start_batch

    def __iter__(self):
        generator = torch.Generator().manual_seed(1000 * self.seed + self.epoch)
        start, self.start_batch = self.start_batch, 0
        for index in range(self.batches):
            label_B = torch.randint(self.classes, (self.batch_size,), generator=generator)
            noise = torch.randn(self.batch_size, 3, 2, 8, 8, generator=generator)
            clip = noise + label_B.float().view(-1, 1, 1, 1, 1) - 1.0
            order = torch.arange(self.batch_size)
            if index < start:
                continue
            yield ToyBatch(clip, label_B, order, torch.zeros_like(order))


@pytest.fixture
def space() -> SearchSpace:
    groups = (
        GroupSpec((4, 6, 8), ((1, 3), (3, 3)), (1.5, 3.0), ("none",), blocks=1, stride=2),
        GroupSpec((8, 12), ((3, 3),), (1.5, 3.0), ("none", "glore"), blocks=2, stride=1),
    )
    return SearchSpace("toy", groups, StemSpec(4), HeadSpec(8, 8))


@pytest.fixture
def make_pair(space):
    """A supernet and a policy, the same at every call."""

    def make(selection: str = "fair") -> tuple[Supernet, Policy]:
        torch.manual_seed(0)
        options = {"input_clip_length": 2, "input_crop_size": 8, "dropout_rate": 0.1}
        supernet = Supernet(space, model_num_class=3, channel_selection=selection, **options)
        return supernet, Policy(space=space)

    return make


@pytest.fixture
def make_loader():
    return ToyLoader


@pytest.fixture
def trained(make_pair):
    """A supernet, and a policy that is no longer uniform."""
    supernet, policy = make_pair()
    with torch.no_grad():
        policy.alpha.copy_(torch.randn(policy.alpha.shape, generator=torch.Generator().manual_seed(4)))
    return supernet, policy
