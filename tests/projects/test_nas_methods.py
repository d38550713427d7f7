"""The picture of the methods, and what the data's measurements compute."""

import sys

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.nasbench import NasBench
from pytorchvideo_autox3d.nasbench.table import Table
from pytorchvideo_autox3d.space import load_space


@pytest.fixture
def methods(load_script):
    return load_script("nas_methods")


@pytest.fixture
def qualify(load_script):
    for name in ("nasbench_recipe", "train_nasbench"):
        load_script(name)
    yield load_script("qualify_bench")
    for name in ("nasbench_recipe", "train_nasbench"):
        del sys.modules[name]


def test_a_curve_is_a_step_function(methods):
    values = methods.sampled([(1.0, 40.0), (3.0, 60.0)], np.array([0.5, 1.0, 2.9, 3.0, 9.0]))
    np.testing.assert_array_equal(values, [np.nan, 40.0, 40.0, 60.0, 60.0])


def test_picture(methods):
    rows = [
        {"method": name, "curve": [(1.0, 50.0), (4.0, 70.0 + seed)]}
        for name in ("random", "zero_cost_zen")
        for seed in (0, 1)
    ]
    figure = methods.draw({"rows": rows, "trainings": 8.0, "best_accuracy": 80.0})
    (axes,) = figure.axes
    medians = {line.get_label(): line.get_ydata() for line in axes.lines[:2]}
    assert medians["random"][-1] == medians["zero cost zen"][-1] == 70.5


def test_spread_by_hand(qualify):
    # Accuracies 50 + n / 2 in percent but for the noise: seeds at -1, 0, 1 points, so deviation 1 and 1 / sqrt 3.
    space = load_space("configs/spaces/nasbench.yaml")
    right = 1000 + 10 * np.arange(216)[:, None] + np.array([-20, 0, 20])
    right = np.repeat(right[:, :, None], 2, axis=2)
    nothing = np.zeros(right.shape)
    table = Table(
        space, {"videos": {"val": 2000, "test": 2000}}, np.arange(3), np.array([1, 2]), right, right, nothing, nothing,
        nothing[:, :, 0], np.arange(216), np.arange(216), np.arange(216),
    )  # fmt: skip
    found = qualify.spread(NasBench(table))
    assert found["best_network"] == 215
    assert found["best_accuracy"] == pytest.approx(50 + 215 / 2)
    assert found["deviation_of_one_training"] == pytest.approx(1.0)
    # 108 networks within the median, 0 to 107: the percentiles of 0..107 are 53.5 and 101.65, in halves of a point.
    assert found["p95_above_median_in_standard_errors"] == pytest.approx((101.65 - 53.5) / 2 * np.sqrt(3))


def test_programmes_are_read_off_classes(qualify, monkeypatch):
    # Label 2 * p (+ 12 for the camera, + 1 for stripes) is programme p; logits put all on one class of the opposite.
    label = torch.tensor([0, 1, 12, 23])
    told = torch.tensor([1, 2, 12, 21])  # programmes 0, 1, 0, 4; true are 0, 0, 0, 5
    monkeypatch.setattr(qualify.recipe, "logits", lambda net, videos: 50.0 * torch.eye(24)[told])
    videos = qualify.recipe.Videos(torch.zeros(4, 1), label)
    accuracy = qualify.programme_accuracy(torch.nn.Identity(), videos)
    assert accuracy == {"programme": 50.0, "programme_or_opposite": 50.0}
