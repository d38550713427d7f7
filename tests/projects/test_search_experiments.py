"""The search experiments: their spaces, clips, statistics and what they keep."""

import itertools

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.space import load_space


@pytest.fixture(scope="module")
def tools(load_script):
    return load_script("experiment_tools")  # under its plain name, as the other scripts import it


@pytest.fixture(scope="module")
def enumerate_space(tools, load_script):
    return load_script("enumerate_space")


def make_videos(tools, count: int = 70):
    frames = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1, 1).expand(count, 3, 24, 36, 48)
    return tools.Videos(frames, torch.arange(count) % 8)


def test_training_clips_depend_on_the_epoch_alone(tools):
    loader = tools.Clips(make_videos(tools), train=True, seed=1)
    loader.set_epoch(3)
    first = [batch.video_B.tolist() for batch in loader]
    assert first == [batch.video_B.tolist() for batch in loader]
    assert len(first) == len(loader) == 2
    loader.set_epoch(4)
    assert first != [batch.video_B.tolist() for batch in loader]


def test_test_clips_are_every_view_of_every_video_once(tools):
    batches = list(tools.Clips(make_videos(tools), train=False, views=3))
    seen = [pair for batch in batches for pair in zip(batch.video_B.tolist(), batch.view_B.tolist(), strict=True)]
    assert sorted(seen) == list(itertools.product(range(70), range(3)))
    assert all(batch.clip_BCTHW.shape[1:] == (3, 8, 32, 32) for batch in batches)
    assert all((batch.clip_BCTHW[:, 0, 0, 0, 0].long() == batch.video_B).all() for batch in batches)


def test_store_computes_once_and_survives_a_cut_line(tools, tmp_path):
    path = tmp_path / "kept" / "values.jsonl"
    assert tools.Store(path).get("a", lambda: {"x": 1}) == {"x": 1}
    with path.open("a") as file:
        file.write('["b", {"x"')
    store = tools.Store(path)
    assert store.get("a", lambda: pytest.fail("was kept")) == {"x": 1}
    assert store.get("b", lambda: 2) == 2
    assert tools.Store(path).values == {"a": {"x": 1}, "b": 2}


def test_percentile_of_the_best_and_the_worst(enumerate_space):
    among = np.arange(10.0)
    assert enumerate_space.percentile(9.0, among) == pytest.approx(95)
    assert enumerate_space.percentile(0.0, among) == pytest.approx(5)


def test_random_search_that_trains_everything_finds_the_best(enumerate_space):
    val = np.random.default_rng(0).permutation(20).astype(float)
    found = enumerate_space.random_search(val + 1.0, val, trainings=20)
    assert found["test"] == 20.0
    assert enumerate_space.random_search(val, val, trainings=1)["test"] == pytest.approx(9.5, abs=0.5)


def test_enumerable_space_is_of_the_size_asked_for(tools):
    space = load_space(tools.SPACES / "enumerable.yaml")
    assert 100 <= space.size <= 300


def test_channels_space_varies_channels_and_expansion_alone(tools):
    space = load_space(tools.SPACES / "channels.yaml")
    varied = {decision.field for decision in space.decisions if len(decision.candidates) > 1}
    assert varied == {"channels", "expansion"}
