"""Normalisation over parts of a batch against nn.BatchNorm3d on each part."""

import pytest
import torch
from fvcore.common.config import CfgNode
from torch import nn

from pytorchvideo_autox3d.errors import ConfigError, ModelError
from pytorchvideo_autox3d.slowfast.norms import SubBatchNorm3d, apply_norm


def config(kind, splits=2, devices=1, everywhere=False):
    return CfgNode(
        {"BN": {"NORM_TYPE": kind, "NUM_SPLITS": splits, "NUM_SYNC_DEVICES": devices, "GLOBAL_SYNC": everywhere}}
    )


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


def test_replacement_keeps_keys_and_weights():
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.Sequential(nn.BatchNorm3d(4, eps=1e-3), nn.ReLU()))
    nn.init.zeros_(model[1][0].weight)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert apply_norm(model, config("sub_batchnorm", splits=2)) is model
    assert isinstance(model[1][0], SubBatchNorm3d)
    assert model[1][0].eps == 1e-3
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_plain_normalisation_is_left_alone():
    model = nn.Sequential(nn.BatchNorm3d(1))
    norm = model[0]
    assert apply_norm(model, config("batchnorm"))[0] is norm


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match=r"BN\.NORM_TYPE 'frozen'"):
        apply_norm(nn.Sequential(), config("frozen"))
