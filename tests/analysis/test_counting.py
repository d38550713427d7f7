"""Counting modules: against arithmetic by hand, and X3D against its published figures."""

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.analysis import count_module, count_parameters
from pytorchvideo_autox3d.analysis.counting import on_meta
from pytorchvideo_autox3d.models.hub import HUB


def test_by_hand():
    model = nn.Sequential(
        nn.Conv3d(3, 4, (1, 3, 3), padding=(0, 1, 1)),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    count = count_module(model, (2, 6, 7))
    assert count.macs == 3 * 4 * 9 * (2 * 6 * 7) + 4 * 5
    assert count.params == count_parameters(model) == (3 * 4 * 9 + 4) + 8 + (4 * 5 + 5)
    assert count.gflops == count.macs / 1e9


def test_the_meta_device_counts_the_same():
    def build():
        return nn.Sequential(
            nn.Conv3d(3, 8, 3, stride=(1, 2, 2), bias=False),
            nn.Conv3d(8, 8, (3, 1, 1), groups=8),
            nn.BatchNorm3d(8),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Linear(8, 5),
        )

    with torch.device("meta"):
        on_meta = build()
    assert count_module(on_meta, (6, 9, 8)) == count_module(build(), (6, 9, 8))


def test_modes_are_restored():
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4).eval())
    mean = model[1].running_mean.clone()
    count_module(model, (1, 2, 2))
    assert model.training
    assert model[0].training
    assert not model[1].training
    assert torch.equal(model[1].running_mean, mean)


# X3D's own table (XS, S, M at the training crop; S, M at the test crop), in units of 1e9 multiply-adds. XS comes out at
# 0.605, which X3D prints as 0.60. L and XL are counted by `autox3d bench model`: seconds each, the same code.
@pytest.mark.parametrize(
    ("name", "crop", "published", "tolerance"),
    [
        ("x3d_xs", 160, 0.60, 0.0055),
        ("x3d_s", 160, 1.96, 0.005),
        ("x3d_s", 182, 2.72, 0.005),
        ("x3d_m", 224, 4.73, 0.005),
        ("x3d_m", 256, 6.18, 0.005),
    ],
)
def test_x3d_has_its_published_multiply_adds(name, crop, published, tolerance):
    entry = HUB[name]
    count = count_module(entry.build(), (entry.clip_length, crop, crop))
    assert abs(count.gflops - published) <= tolerance
    assert count.macs == (entry.train_macs if crop == entry.train_crop else entry.test_macs)
    assert count.params == entry.params


def test_what_is_built_to_be_counted_takes_no_values():
    with on_meta():
        layer = nn.init.kaiming_normal_(nn.Conv3d(3, 4, 3).weight)
        kept = nn.init.normal_(torch.zeros(1000, device="cpu"))
    assert layer.is_meta
    assert layer.shape == (4, 3, 3, 3, 3)
    assert kept.std() > 0.5
