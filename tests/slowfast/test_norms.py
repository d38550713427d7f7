"""BN.NORM_TYPE of PySlowFast's config."""

import pytest
import torch
from fvcore.common.config import CfgNode
from torch import nn

from pytorchvideo_autox3d.errors import ConfigError
from pytorchvideo_autox3d.layers.norms import SubBatchNorm3d
from pytorchvideo_autox3d.search import create_autox3d_search
from pytorchvideo_autox3d.slowfast.norms import apply_norm


def config(kind, splits=2, devices=1, everywhere=False):
    return CfgNode(
        {"BN": {"NORM_TYPE": kind, "NUM_SPLITS": splits, "NUM_SYNC_DEVICES": devices, "GLOBAL_SYNC": everywhere}}
    )


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


def test_a_search_normalises_as_it_is_built():
    net = create_autox3d_search(model_num_class=2)
    assert apply_norm(net, config("batchnorm")) is net
    with pytest.raises(ConfigError, match=r"BN\.NORM_TYPE 'sync_batchnorm': a search normalises"):
        apply_norm(net, config("sync_batchnorm", everywhere=True))
