"""Normalisation over parts of a batch, and over the batches of two processes, against nn.BatchNorm3d on the whole."""

from functools import partial

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.layers.norms import SubBatchNorm3d, SyncBatchNorm3d, replace_norms


def test_each_part_by_itself():
    torch.manual_seed(0)
    clip = torch.randn(6, 3, 2, 2, 2) * torch.arange(1, 7).view(-1, 1, 1, 1, 1)
    norm = SubBatchNorm3d(3, num_splits=2)
    nn.init.uniform_(norm.weight)
    plain = nn.BatchNorm3d(3)
    plain.weight.data.copy_(norm.weight.data)
    torch.testing.assert_close(norm(clip), torch.cat([plain(clip[:3]), plain(clip[3:])]))


def test_running_statistics_are_those_of_the_whole_batch():
    """With equal parts, the mean of means is the mean, and both variances together are the variance."""
    torch.manual_seed(0)
    clip = torch.randn(8, 2, 3, 4, 4) + torch.arange(8).view(-1, 1, 1, 1, 1)
    norm = SubBatchNorm3d(2, num_splits=4, momentum=1.0)
    norm(clip)
    torch.testing.assert_close(norm.running_mean, clip.mean((0, 2, 3, 4)))
    torch.testing.assert_close(norm.running_var, clip.var((0, 2, 3, 4)), rtol=0.02, atol=0)
    assert norm.num_batches_tracked == 1
    norm.eval()
    reference = nn.BatchNorm3d(2).eval()
    reference.load_state_dict(norm.state_dict())
    torch.testing.assert_close(norm(clip), reference(clip))


def test_uneven_parts_are_refused():
    with pytest.raises(ModelError, match="3 normalisation parts don't divide a batch of 4 clips"):
        SubBatchNorm3d(1, num_splits=3)(torch.randn(4, 1, 1, 1, 1))


def test_replacing_keeps_weights_and_mode():
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.Sequential(nn.BatchNorm3d(4, eps=1e-3), nn.ReLU())).eval()
    nn.init.uniform_(model[1][0].weight)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    replace_norms(model, partial(SyncBatchNorm3d, num_devices=2))
    assert isinstance(model[1][0], SyncBatchNorm3d)
    assert (model[1][0].eps, model[1][0].training, model[1][0].num_devices) == (1e-3, False, 2)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)


CLIPS = 4


def normalise(num_devices: int | None) -> dict[str, torch.Tensor]:
    """One training pass over this process's share of four clips, and what it gave."""
    torch.manual_seed(0)
    clip = torch.randn(CLIPS, 3, 2, 3, 3) * torch.arange(1.0, CLIPS + 1).view(-1, 1, 1, 1, 1) + 10
    target = torch.randn_like(clip)
    share = CLIPS // distributed.world_size()
    own = slice(distributed.rank() * share, (distributed.rank() + 1) * share)
    norm = SyncBatchNorm3d(3, num_devices=num_devices)
    nn.init.uniform_(norm.weight)
    part = clip[own].clone().requires_grad_()
    out = norm(part)
    (out * target[own]).sum().backward()
    return {
        "out": out.detach(), "grad": part.grad, "weight": norm.weight.grad, "bias": norm.bias.grad,
        "mean": norm.running_mean, "var": norm.running_var, "eval": norm.eval()(part).detach(),
        "batches": norm.num_batches_tracked,
    }  # fmt: skip


def normalise_in_every_way() -> list[dict]:
    """Over all processes, by each alone, and in groups that don't divide them."""
    results = {"all": normalise(None), "alone": normalise(1)}
    try:
        normalise(3)
    except ModelError as error:
        results["uneven"] = str(error)
    return distributed.all_gather_objects(results)


@pytest.fixture(scope="module")
def processes() -> list[dict]:
    return distributed.launch(normalise_in_every_way, num_processes=2, backend="gloo")


def assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_two_processes_normalise_as_one(processes):
    whole = normalise(None)  # nn.BatchNorm3d: the next test
    parts = [process["all"] for process in processes]
    for name in ("out", "grad", "eval"):
        assert_close(torch.cat([part[name] for part in parts]), whole[name])
    for name in ("weight", "bias"):  # DistributedDataParallel averages these
        assert_close(sum(part[name] for part in parts), whole[name])
    for part in parts:
        assert_close(part["mean"], whole["mean"])
        assert_close(part["var"], whole["var"])
        assert part["batches"] == 1


def test_in_one_process_it_is_batch_norm():
    torch.manual_seed(1)
    clip = torch.randn(4, 3, 2, 2, 2)
    assert torch.equal(SyncBatchNorm3d(3)(clip), nn.BatchNorm3d(3)(clip))


def test_groups_of_one_normalise_alone(processes):
    torch.manual_seed(0)
    clip = torch.randn(CLIPS, 3, 2, 3, 3) * torch.arange(1.0, CLIPS + 1).view(-1, 1, 1, 1, 1) + 10
    for process, own in zip(processes, clip.split(2), strict=True):
        norm = nn.BatchNorm3d(3)
        norm(own)
        assert_close(process["alone"]["mean"], norm.running_mean)
        assert_close(process["alone"]["var"], norm.running_var)


def test_uneven_groups_are_refused(processes):
    for process in processes:
        assert process["uneven"] == "groups of 3 that normalise together don't divide 2 processes"
