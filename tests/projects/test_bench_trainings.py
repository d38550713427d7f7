"""Networks trained on the bench data for a comparison: what is trained, and what is kept."""

import pytest
import simplejson
import torch

from pytorchvideo_autox3d.space import Architecture, load_space

LARGE = "configs/spaces/bench_large.yaml"
SCRIPTS = ("nasbench_recipe", "train_nasbench", "bench_trainings")
SEARCHING = ("bench_supernet", "bench_searches", "nas_methods")


@pytest.fixture
def trainings(load_scripts, monkeypatch):
    """The module, its workers threads of this process that train nothing."""
    script = load_scripts(*SCRIPTS)

    class Pool:
        def __init__(self, workers):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            pass

        def imap_unordered(self, function, tasks):
            return map(function, tasks)

    monkeypatch.setattr(script.multiprocessing, "get_context", lambda kind: type("Context", (), {"Pool": Pool}))
    videos = {"train": [0] * 10, "val": [0] * 4, "test": [0] * 8}
    monkeypatch.setattr(script.nasbench_recipe, "load_bench", lambda folder: videos)
    monkeypatch.setattr(
        script.nasbench_recipe, "train_net",
        lambda net, data, recipe, seed: {
            "val_right": [0, 1], "test_right": [0, 2 + seed], "seconds": float(recipe.epochs),
        },
    )  # fmt: skip
    monkeypatch.setattr(script.os, "nice", lambda by: None)
    yield script
    torch.set_num_threads(1)


def test_a_network_of_two_names_is_trained_once(trainings, tmp_path):
    space = load_space(LARGE)
    choices = list(Architecture.widest(space).indices)
    named = {
        "found 0": {"role": "found", "space": LARGE, "choices": choices},
        "random 0": {"role": "random", "space": LARGE, "choices": choices},
        "X3D": {"role": "x3d", "bottleneck": 2.0},
        "longer": {"role": "x3d_twice", "bottleneck": 2.0, "epochs": 20},
    }
    rows = trainings.train_missing(named, data=tmp_path, journal=tmp_path / "rows", command="c", workers=1)
    assert len(list((tmp_path / "rows").iterdir())) == 9
    assert [(row["network"], row["role"], row["seed"]) for row in rows] == [
        (name, one["role"], seed) for name, one in named.items() for seed in (0, 1, 2)
    ]
    assert [row["test"] for row in rows] == [25.0, 37.5, 50.0] * 4
    assert {row["val"] for row in rows} == {25.0}
    assert rows[0]["macs"] == rows[3]["macs"] != rows[6]["macs"]
    assert trainings.mean_test(rows) == dict.fromkeys(named, 37.5)
    assert [(row["cpu_seconds"], row["clips"]) for row in rows[6::3]] == [(10.0, 100), (20.0, 200)]


def test_what_is_kept_is_trained_again_only_where_the_name_means_another_network(trainings, tmp_path, monkeypatch):
    named = {"X3D": {"role": "x3d", "bottleneck": 2.0}}
    options = {"data": tmp_path, "journal": tmp_path, "command": "c", "workers": 1}
    first = trainings.train_missing(named, **options)
    monkeypatch.setattr(trainings.nasbench_recipe, "train_net", lambda *args, **options: pytest.fail("is kept"))
    assert trainings.train_missing(named, **options) == first
    monkeypatch.setattr(
        trainings.nasbench_recipe, "train_net",
        lambda *args, **options: {"val_right": [1], "test_right": [8], "seconds": 1.0},
    )  # fmt: skip
    other = trainings.train_missing({"X3D": {"role": "x3d", "bottleneck": 3.0}}, **options)
    assert {row["test"] for row in other} == {100.0}
    assert simplejson.loads((tmp_path / "X3D_0.json").read_text())["bottleneck"] == 3.0


def test_fair_searches_are_derived_twice(load_scripts):
    script = load_scripts(*SCRIPTS, *SEARCHING, "fair_against_naive")
    rows = [
        {"method": method, "seed": 0, "most_likely": [0] * 16, "architecture": [1] * 16} for method in ("fair", "naive")
    ]
    named = script.networks(rows)
    assert {name: one["choices"][0] for name, one in named.items()} == {"fair 0": 0, "naive 0": 0, "fair, floor 0": 1}
    target = script.median_gflops(load_space(script.SPACE))
    assert 1.4e-3 < target < 1.7e-3


def test_hand_placed_rows(load_scripts):
    script = load_scripts(*SCRIPTS, *SEARCHING, "attention_positions")
    rows = script.by_hand(load_space(script.SPACE))
    placed = {
        name: [number for number, choice in enumerate(net.groups) if choice.attention == "glore"]
        for name, net in rows.items()
    }
    assert placed == {
        "backbone": [],
        "2 in stage 1": [0, 1],
        "2 in stage 2": [2, 3],
        "2 in stage 3": [5, 6],
        "all of the last stage": [4, 5, 6],
    }
