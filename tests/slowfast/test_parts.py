"""The stand-ins against independent computations; the collectives in two real processes."""

import pytest
import torch
import torch.multiprocessing as mp
import torchvision

from pytorchvideo_autox3d.slowfast import parts


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_soft_targets(reduction):
    torch.manual_seed(0)
    logits, targets = torch.randn(3, 4), torch.tensor([[2.0, 0, 0, 0], [0, 1, 1, 0], [0.5, 0.25, 0.25, 0]])
    loss = parts.SoftTargetCrossEntropyLoss(reduction=reduction)(logits, targets)
    normal = targets / torch.tensor([[2.0], [2.0], [1.0]])
    expected = torch.nn.functional.cross_entropy(logits, normal, reduction=reduction)
    torch.testing.assert_close(loss, expected)


def test_soft_targets_as_they_are():
    logits = torch.randn(2, 3)
    targets = torch.tensor([[2.0, 0, 0], [0, 3.0, 0]])
    loss = parts.SoftTargetCrossEntropyLoss(normalize_targets=False, reduction="none")(logits, targets)
    each = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1]), reduction="none")
    torch.testing.assert_close(loss, each * torch.tensor([2.0, 3.0]))


def test_class_indices():
    logits, labels = torch.randn(4, 5), torch.tensor([0, 4, 2, 2])
    expected = torch.nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(parts.SoftTargetCrossEntropyLoss()(logits, labels), expected)


def test_unknown_settings_are_refused():
    with pytest.raises(NotImplementedError):
        parts.SoftTargetCrossEntropyLoss(reduction="sum")
    with pytest.raises(NotImplementedError):
        parts.SoftTargetCrossEntropyLoss(ignore_index=0)


def test_roi_align_is_aligned_by_default():
    torch.manual_seed(0)
    maps, boxes = torch.randn(1, 2, 8, 8), torch.tensor([[0, 8.0, 8.0, 80.0, 96.0]])
    pooled = parts.ROIAlign([3, 3], spatial_scale=1 / 16, sampling_ratio=0)(maps, boxes)
    torch.testing.assert_close(
        pooled, torchvision.ops.roi_align(maps, boxes, (3, 3), spatial_scale=1 / 16, sampling_ratio=0, aligned=True)
    )


def test_one_process():
    parts.init_distributed_training(num_gpus=0, shard_id=0)
    assert (parts.get_local_size(), parts.get_local_rank(), parts.get_local_process_group()) == (1, 0, None)


def _in_process(rank, address, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    parts.init_distributed_training(num_gpus=2, shard_id=0)
    gathered = parts.cat_all_gather(torch.full((1, 2), rank)).tolist()
    local = parts.cat_all_gather(torch.full((1, 2), rank), local=True).tolist()
    own = parts._subgroup(1)
    alone = parts._subgroup(2) is parts.get_local_process_group()
    torch.save(
        (parts.get_local_size(), parts.get_local_rank(), gathered, local, torch.distributed.get_world_size(own), alone),
        f"{results}/{rank}",
    )
    torch.distributed.destroy_process_group()


def test_two_processes(tmp_path):
    arguments = f"file://{tmp_path}/rendezvous", str(tmp_path)
    mp.start_processes(_in_process, arguments, nprocs=2, start_method="forkserver")
    for rank in range(2):
        assert torch.load(tmp_path / str(rank)) == (2, rank, [[0, 0], [1, 1]], [[0, 0], [1, 1]], 1, True)
