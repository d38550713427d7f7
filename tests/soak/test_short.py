"""A few kills of each job; `make soak` does twenty of each."""

from pathlib import Path

import pytest

from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from tests.soak.harness import jobs, soak


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("soak")
    settings = DemoSettings(train_per_class=2, val_per_class=1, test_per_class=1, num_frames=8)
    make_demo_data(folder / "data", settings=settings, show_progress=False)
    return folder


@pytest.mark.parametrize(("kind", "kills"), [("search", 2), ("train", 2), ("test", 2)])
def test_killed_and_started_again_it_ends_bit_for_bit_the_same(folder, tmp_path, kind, kills):
    kinds = jobs(folder / "data", folder)
    if kind == "test":
        soak(kinds["train"], folder, kills=0, seed=0)
        (folder / "whole").rename(folder / "trained")
    result = soak(kinds[kind], tmp_path, kills=kills, seed=3)
    assert result.differences == ()
    assert result.kills == kills
