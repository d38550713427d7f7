"""The picture of the methods, and what the data's measurements compute."""

from types import SimpleNamespace

import numpy as np
import pytest
import simplejson
import torch

from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.nasbench import NasBench
from pytorchvideo_autox3d.nasbench.table import Table
from pytorchvideo_autox3d.space import load_space


@pytest.fixture
def methods(load_scripts):
    return load_scripts("nasbench_recipe", "bench_supernet", "bench_searches", "nas_methods")


@pytest.fixture
def qualify(load_scripts):
    return load_scripts("nasbench_recipe", "train_nasbench", "qualify_bench")


def test_a_curve_is_a_step_function(methods):
    values = methods.sampled([(1.0, 40.0), (3.0, 60.0)], np.array([0.5, 1.0, 2.9, 3.0, 9.0]))
    np.testing.assert_array_equal(values, [np.nan, 40.0, 40.0, 60.0, 60.0])


def test_picture(methods):
    rows = [
        {"method": name, "curve": [(1.0, 50.0), (4.0, 70.0 + seed)]}
        for name in ("random", "zero_cost_zen")
        for seed in (0, 1)
    ]
    searches = [{"method": "darts", "trainings": 5.0, "accuracy": accuracy} for accuracy in (60.0, 75.0, 79.0)]
    figure = methods.draw({"rows": rows, "supernet_rows": searches, "trainings": 8.0, "best_accuracy": 80.0})
    (axes,) = figure.axes
    (dot,) = (one for one in axes.containers if one.get_label() == "darts")
    assert dot.lines[0].get_xydata().tolist() == [[5.0, 75.0]]
    medians = {line.get_label(): line.get_ydata() for line in axes.lines[:2]}
    assert medians["random"][-1] == medians["zero cost zen"][-1] == 70.5


def test_a_search_is_charged_the_training_of_what_it_found(methods):
    space = load_space("configs/spaces/nasbench.yaml")
    # Network n has n + 1 multiply-adds and n right answers of 216 whatever the seed, so that the dearest is the best.
    right = np.repeat(np.repeat(np.arange(216)[:, None, None], 3, axis=1), 2, axis=2)
    nothing = np.zeros(right.shape)
    bench = NasBench(
        Table(
            space, {"videos": {"train": 10, "val": 216, "test": 216}, "clip": [8, 24, 24], "num_classes": 24},
            np.arange(3), np.array([1, 2]), right, right, nothing, nothing, np.full((216, 3), 4.0),
            np.arange(216) + 1, np.arange(216), np.arange(216),
        )
    )  # fmt: skip
    found = {
        "method": "darts", "seed": 1, "space": "nasbench", "entropy_left": 0.5, "gflops": 91e-9, "peak_bytes": 1,
        "command": "", "target_gflops": 100e-9, "architecture": list(bench.architectures[90].indices), "macs": 3000.0,
        "cpu_seconds": 10.0,
    }  # fmt: skip
    (row,) = methods.looked_up(bench, [found])
    assert row["network"] == 90
    assert row["percentile"] == pytest.approx(90.5)  # 90 of 100 are worse, and it is level with itself
    assert row["regret"] == pytest.approx(100 * 9 / 216)
    training = 3 * 91 * 10 * 2
    assert row["macs"] == pytest.approx(3000 + training)
    assert row["trainings"] == pytest.approx((3000 + training) / (3 * 50.5 * 10 * 2))
    assert row["seconds"] == pytest.approx(14.0)
    with pytest.raises(DataError, match="is of space other, not the table's"):
        methods.looked_up(bench, [{**found, "space": "other"}])
    # About two trainings at random: the better of two of 100 has rank two thirds.
    assert 55 < row["random_percentile"] < 80


def test_a_search_s_result_spends_its_budget(load_scripts, monkeypatch):
    searches = load_scripts("nasbench_recipe", "bench_supernet", "bench_searches")
    monkeypatch.setattr(searches, "search", lambda *args, **options: [{"loss": 3.0, "epoch": 1}])
    space = load_space("configs/spaces/bench_large.yaml")
    videos = searches.Videos(
        torch.randint(0, 256, (64, 3, 16, 28, 28), dtype=torch.uint8),
        torch.arange(64) % searches.nasbench_recipe.NUM_CLASSES,
    )
    method = searches.Method(derive="best_of", best_of=2, floor=0.95, settings={"epochs": 1, "warmup_epochs": 0})
    row = searches.run_search(space, {"train": videos, "val": videos}, method, seed=0, target_gflops=0.0015)
    assert 0.95 * 0.0015 <= row["gflops"] <= 0.0015
    assert [row["architecture"], row["score"]] == row["scored"][0]
    assert len(row["scored"]) == 2
    assert row["history"] == [{"epoch": 1, "gflops": None, "entropy": None, "ess": None}]
    assert row["scored"][0][1] >= row["scored"][1][1]


def test_searches_of_another_recipe_space_or_target_are_run_again(load_scripts, monkeypatch, tmp_path):
    searches = load_scripts("nasbench_recipe", "bench_supernet", "bench_searches")
    space, ours, other = load_space("configs/spaces/nasbench.yaml"), searches.METHODS["ours"], searches.LONGER
    run = []

    class Pool:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def imap_unordered(self, function, tasks):
            run.append([task[3] for task in tasks])
            for _, space, method, seed, target, name in tasks:
                recipe, space_name = method.to_dict(), space.name
                yield {"method": name, "seed": seed, "space": space_name, "recipe": recipe, "target_gflops": target}

    monkeypatch.setattr(searches.nasbench_recipe, "load_bench", lambda folder: None)
    monkeypatch.setattr(
        searches.multiprocessing, "get_context", lambda kind: SimpleNamespace(Pool=lambda *_, **__: Pool())
    )
    args = SimpleNamespace(data=tmp_path, results=tmp_path / "rows.json", workers=1)

    def rows(seeds, method=ours, name="ours", space=space, target=0.1):
        return searches.run_missing(
            [(tmp_path, space, method, seed, target, name) for seed in seeds], args, "script.py"
        )

    rows([0], name="kept")
    assert [row["seed"] for row in rows([0, 1])] == [0, 1]
    assert {row["command"] for row in rows([1, 2])} == {"script.py"}
    rows([2, 3], method=other)
    rows([2], method=other, target=0.2)
    rows([2], method=other, target=0.2, space=load_space("configs/spaces/bench_large.yaml"))
    assert run == [[0], [0, 1], [2], [2, 3], [2], [2]]
    kept = simplejson.loads(args.results.read_text())
    assert sorted((row["method"], row["seed"]) for row in kept) == [("kept", 0), *(("ours", seed) for seed in range(4))]


def test_paired_interval(methods):
    # Mean 2, standard deviation 1 of three, t of 2 degrees of freedom 4.303: a half-width of 2.48.
    assert methods.paired([1.0, 2.0, 3.0]) == "+2.0 (-0.5 to +4.5)"


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
