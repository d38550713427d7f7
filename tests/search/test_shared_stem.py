"""The stem run once for all samples of a step: the same gradients, losses and statistics as sample by sample."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.engine import Runtime
from pytorchvideo_autox3d.search.batch_statistics import batch_statistics
from pytorchvideo_autox3d.search.shared_stem import SharedStem, moving_at_once
from pytorchvideo_autox3d.space import Architecture
from pytorchvideo_autox3d.supernet import SharedMaps
from tests.search.test_step import first_batch, make_step

LOOP = SimpleNamespace(epoch=0, step_in_epoch=0, steps_per_epoch=1, files_at_fault=lambda at_fault: "")
RUNTIME = Runtime(device=torch.device("cpu"), preprocess=lambda clip: clip, channels_last=False)


def architectures(space, count=6):
    generator = torch.Generator().manual_seed(3)
    return [space.sample(generator) for _ in range(count)]


def test_running_statistics_move_as_if_each_sample_had_run():
    torch.manual_seed(0)
    once, often = (nn.Sequential(nn.BatchNorm3d(4), nn.ReLU(), nn.BatchNorm3d(4)) for _ in range(2))
    clip = torch.randn(2, 4, 2, 3, 3)
    with moving_at_once(once, 5):
        expected = once(clip)
    for _ in range(5):
        torch.testing.assert_close(often(clip), expected)
    for name, buffer in often.named_buffers():
        if "num_batches" not in name:
            torch.testing.assert_close(once.get_buffer(name), buffer, msg=name)
    assert once[0].momentum == 0.1


def test_the_step_moves_the_stems_statistics_by_all_samples(make_pair, make_loader):
    supernet, policy = make_pair()
    expected = copy.deepcopy(supernet.stem).train()
    batch = first_batch(make_loader)
    make_step((supernet, policy)).weight_step([batch], LOOP)
    with torch.no_grad():
        for _ in range(5):
            expected(batch.clip_BCTHW)
    for name, buffer in expected.named_buffers():
        if "num_batches" not in name:
            torch.testing.assert_close(supernet.stem.get_buffer(name), buffer, msg=name)


def test_the_stem_runs_once_a_step(make_pair, make_loader):
    supernet, policy = make_pair()
    step, calls = make_step((supernet, policy)), []
    supernet.stem.register_forward_hook(lambda *_: calls.append(1))
    step.weight_step(list(make_loader(batches=2)), LOOP)
    assert len(calls) == 2  # once a batch
    step.policy_step([first_batch(make_loader)], LOOP)
    assert len(calls) == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weighted_gradients_through_the_stem(make_pair, dtype):
    """The stem's output in the autocast type; sums in float32, brought back once."""
    supernet, _ = make_pair()
    stem = nn.Sequential(nn.Conv3d(3, 4, 1))
    supernet.stem = stem
    clip = torch.randn(2, 3, 2, 4, 4)
    runtime = SimpleNamespace(autocast=lambda: torch.autocast("cpu", dtype, enabled=dtype != torch.float32))
    shared = SharedStem(supernet, [clip], runtime, times=3)
    factors = [0.5, 0.25, 0.25]
    for factor in factors:
        _, features = shared.maps[0].start(())
        assert features.dtype == dtype
        (factor * features.float().square().sum()).backward()
    shared.backward()
    expected = torch.autograd.grad(stem(clip).square().sum(), list(stem.parameters()))
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 3e-2, "atol": 3e-2}
    torch.testing.assert_close([p.grad for p in stem.parameters()], list(expected), **tolerance)


def test_shared_groups_change_no_bit(make_pair, make_loader, space):
    supernet, _ = make_pair()
    clip = first_batch(make_loader).clip_BCTHW
    drawn = architectures(space)
    first = drawn[0].indices
    relatives = [Architecture.from_indices(space, (*first[:4], *other.indices[4:])) for other in drawn]
    with batch_statistics(supernet):
        shared, runs = SharedMaps(supernet.stem(clip)), []
        supernet.groups[0].register_forward_hook(lambda *_: runs.append(1))
        for architecture in sorted(relatives, key=lambda one: one.indices):
            assert torch.equal(supernet(clip, architecture, shared), supernet(clip, architecture))
        assert len(runs) == 1 + len(relatives)  # once for all that share it, and once for each without
        assert torch.equal(supernet(clip, drawn[1], shared), supernet(clip, drawn[1]))


def test_with_gradients_groups_are_not_shared(make_pair, make_loader, space):
    supernet, _ = make_pair()
    clip, one = first_batch(make_loader).clip_BCTHW, architectures(space, 1)[0]
    shared = SharedMaps(supernet.stem(clip).detach())
    supernet(clip, one, shared)
    assert shared.start(one.groups)[0] == 0
