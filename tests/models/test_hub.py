"""The hub: every name builds, its figures are those counted, and weights are refused."""

import importlib.util
from pathlib import Path

import pytest
import torch

from pytorchvideo_autox3d.analysis import complexity, count_module, count_parameters
from pytorchvideo_autox3d.analysis.counting import on_meta
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models import hub, reference_model

NAMES = [
    "autox3d_s", "autox3d_m", "autox3d_l", "x3d_xs", "x3d_s", "x3d_m", "x3d_l", "x3d_xl", "c3d", "i3d",
    "i3d_two_stream", "r2plus1d_34", "r2plus1d_34_two_stream", "s3d_g", "mfnet", "ip_csn_50", "ip_csn_101", "tsm_r50",
    "tsm_mobilenetv2", "stm_r50", "gst_r50", "smallbignet_r50", "vov3d_m", "vov3d_l", "mobilenetv2_3d",
    "slowfast_4x16_r50", "slowfast_8x8_r101",
]  # fmt: skip


def test_the_names():
    assert list(hub.HUB) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_network_of_the_stated_size(name):
    with on_meta():
        model = hub.load(name)
    entry = hub.HUB[name]
    assert count_parameters(model) == entry.params
    assert (model.input_clip_length, model.input_crop_size, model.input_crop_size) == entry.clip
    if entry.model not in ("AutoX3D", "X3D"):  # counted in the next test and in tests/analysis
        assert count_module(model, entry.clip, in_channels=model.in_channels).macs == entry.train_macs


@pytest.mark.parametrize("name", ["S", "M", "L"])
def test_the_figures_of_autox3d(name):
    entry, model = hub.HUB[f"autox3d_{name.lower()}"], reference_model(name)
    for crop, macs in ((entry.train_crop, entry.train_macs), (entry.test_crop, entry.test_macs)):
        clip = (entry.clip_length, crop, crop)
        assert complexity(model.architecture, clip=clip, depth_factor=model.depth_factor).macs == macs


def test_weights_are_refused_and_names_checked():
    with pytest.raises(ModelError, match="autox3d_s: no weights are published for it"):
        hub.ENTRY_POINTS["autox3d_s"](pretrained=True)
    with pytest.raises(ModelError, match="no model 'x4d_s'"):
        hub.load("x4d_s")


def test_hubconf_offers_them():
    path = Path(__file__).parents[2] / "hubconf.py"
    spec = importlib.util.spec_from_file_location("hubconf", path)
    hubconf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hubconf)
    for name in NAMES:
        assert callable(getattr(hubconf, name))
    model = hubconf.autox3d_s(num_classes=7).eval()
    assert model(torch.zeros(1, 3, 2, 32, 32)).shape == (1, 7)
