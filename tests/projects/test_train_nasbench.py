"""The runner of the table: what is done is never done again, from the journal or from the table alone."""

import argparse
import sys

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d import nasbench
from pytorchvideo_autox3d.errors import DataError

SPACE = """
name: tiny
stem: {channels: 8}
head: {channels: 16, hidden: 16}
groups:
  - {channels: [8], kernels: [[1, 3], [3, 3]], expansions: [1.5], attentions: [none], blocks: 1, stride: 2}
"""


@pytest.fixture
def recipe(load_script):
    module = load_script("nasbench_recipe")
    yield module
    del sys.modules["nasbench_recipe"]


@pytest.fixture
def script(recipe, load_script, monkeypatch):
    module = load_script("train_nasbench")
    monkeypatch.setattr(module, "RECIPE", recipe.Recipe(epochs=3, batch_size=16))
    monkeypatch.setattr(module.os, "nice", lambda more: 0)
    videos = recipe.Videos(torch.randint(0, 256, (48, 3, 16, 28, 28), dtype=torch.uint8), torch.arange(48) % 24)
    monkeypatch.setattr(recipe, "load_bench", lambda folder: dict.fromkeys(recipe.SPLITS, videos))
    return module


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "space.yaml").write_text(SPACE)
    return argparse.Namespace(
        data=tmp_path / "data", journal=tmp_path / "rows", table=tmp_path / "table.npz", space=tmp_path / "space.yaml",
        workers=1, limit=None,
    )  # fmt: skip


def test_all_networks_of_a_seed_before_the_next(script):
    tasks = script.tasks(50)
    assert [task.seed for task in tasks] == [0] * 50 + [1] * 50 + [2] * 50
    assert sorted(task.network for task in tasks[50:100]) == list(range(50))
    assert tasks == script.tasks(50)


def test_train_collect_and_go_on(script, arguments, capsys):
    arguments.limit = 3
    script.train_all(arguments)
    assert len(list(arguments.journal.iterdir())) == 3
    script.collect(arguments)
    assert "seed 0: 2, seed 1: 1, seed 2: 0 of 2 networks; 3 trainings left" in capsys.readouterr().out
    # A bare machine has the table alone.
    first = nasbench.load(arguments.table)
    for path in arguments.journal.iterdir():
        path.unlink()
    assert len(script.open_tasks(arguments)) == 3
    script.train_all(arguments)
    assert len(list(arguments.journal.iterdir())) == 3
    script.collect(arguments)
    second = nasbench.load(arguments.table)
    assert second.complete
    assert second.epochs == (1, 3)
    done = first.table.trained_NS
    np.testing.assert_array_equal(second.table.test_loss_NSE[done], first.table.test_loss_NSE[done])
    assert second.table.card["videos"]["test"] == 24 * 84


def test_the_same_seed_gives_the_same_training(script, recipe, arguments):
    network = script.all_architectures(script.load_space(arguments.space))[1]
    data = recipe.load_bench(None)
    one, two, other = (recipe.train(network, data, script.RECIPE, seed=seed)[1] for seed in (4, 4, 5))
    assert one["test_loss"] == two["test_loss"]
    assert one["test_loss"] != other["test_loss"]


def test_tested_after_a_quarter_a_half_and_all(recipe):
    assert recipe.Recipe(epochs=10).checkpoints == [2, 5, 10]
    assert recipe.Recipe(epochs=1).checkpoints == [1]


def test_a_product_of_matrices_is_the_convolution_of_one_tap(recipe):
    torch.manual_seed(0)
    conv = torch.nn.Conv3d(5, 7, 1).to(memory_format=torch.channels_last_3d)
    x = torch.randn(2, 5, 3, 4, 4).contiguous(memory_format=torch.channels_last_3d)
    expected = conv(x)
    conv.__class__ = recipe._Pointwise
    torch.testing.assert_close(conv(x), expected)
    assert conv(x).is_contiguous(memory_format=torch.channels_last_3d)


def test_rows_of_another_recipe_are_refused(script, recipe, arguments, monkeypatch):
    arguments.limit = 1
    script.train_all(arguments)
    monkeypatch.setattr(script, "RECIPE", recipe.Recipe(epochs=4))
    with pytest.raises(DataError, match="in another space or by another recipe"):
        script.collect(arguments)
    assert not arguments.table.exists()


def test_latency_of_each_network(script, arguments):
    script.latency(arguments)
    assert (nasbench.load(arguments.table).table.milliseconds_N > 0).all()


def test_clips_are_of_the_video_and_mirrored_by_chance(recipe):
    frames = torch.arange(16 * 28 * 28, dtype=torch.int32).view(1, 1, 16, 28, 28).expand(64, 3, -1, -1, -1)
    videos = recipe.Videos(frames, torch.zeros(64, dtype=torch.int64))
    ((clip, _),) = recipe.training_clips(videos, 64, np.random.default_rng(0))
    assert clip.shape == (64, 3, 8, 24, 24)
    time = clip[:, 0, :, 0, 0] // 28**2
    assert (time.diff(dim=1) == 2).all()
    assert time[0, 0] in (0, 1)
    rightwards = clip[:, 0, 0, 0, 1] > clip[:, 0, 0, 0, 0]
    downwards = clip[:, 0, 0, 1, 0] > clip[:, 0, 0, 0, 0]
    assert len(set(zip(rightwards.tolist(), downwards.tolist(), strict=True))) == 4
