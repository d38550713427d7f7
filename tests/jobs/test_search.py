"""A search from a config over real videos, to the config that trains what it found."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from pytorchvideo_autox3d import cli, jobs
from pytorchvideo_autox3d.analysis import complexity, count_module
from pytorchvideo_autox3d.commands import plot_search
from pytorchvideo_autox3d.config import config_path, load_cfg, value_at
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError, DataError, RegistryError, SearchError
from pytorchvideo_autox3d.jobs import SearchJob, build
from pytorchvideo_autox3d.kernels import depthwise_kernels
from pytorchvideo_autox3d.search import read_history
from pytorchvideo_autox3d.space import Architecture
from tests.small_space import write_latency_table

SPACE = """
name: tiny
stem: {channels: 4}
head: {channels: 8, hidden: 8}
groups:
  - {channels: [4, 8], kernels: [[1, 3], [3, 3]], expansions: [1.5, 3.0], attentions: [none], blocks: 1, stride: 2}
  - {channels: [8], kernels: [[3, 3]], expansions: [1.5], attentions: [none, glore], blocks: 1, stride: 2}
"""


@pytest.fixture(autouse=True)
def _plain_convolutions():
    with depthwise_kernels(False):
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    settings = DemoSettings(train_per_class=2, val_per_class=1, test_per_class=1, num_frames=8)
    return make_demo_data(tmp_path_factory.mktemp("data") / "demo", settings=settings, show_progress=False)


@pytest.fixture
def options(data, tmp_path):
    (tmp_path / "space.yaml").write_text(SPACE)

    def make(**changes) -> list:
        values = {
            "DATA.PATH_TO_DATA_DIR": str(data),
            "DATA.PATH_PREFIX": str(data),
            "DATA_LOADER.NUM_WORKERS": 0,
            "DATA.NUM_FRAMES": 4,
            "TRAIN.BATCH_SIZE": 4,
            "AUTOX3D.SPACE": str(tmp_path / "space.yaml"),
            "AUTOX3D.DEPTHWISE_KERNELS": False,
            "SOLVER.WARMUP_EPOCHS": 0.0,
            "SEARCH.EPOCHS": 2,
            "SEARCH.WARMUP_EPOCHS": 1,
            "SEARCH.NUM_SAMPLES": 2,
            "SEARCH.BEST_OF": 2,
            "SEARCH.BN_BATCHES": 1,
            "SEARCH.TARGET_GFLOPS": 0.0003,
            "OUTPUT_DIR": str(tmp_path / "out"),
            **changes,
        }
        return [item for pair in values.items() for item in pair]

    return make


def demo_cfg(opts):
    return load_cfg(config_path("autox3d/search_demo.yaml"), opts)


def test_search_writes_what_trains_its_result(options, tmp_path, capsys):
    jobs.run(demo_cfg(options()))
    out = tmp_path / "out"
    assert [record["epoch"] for record in read_history(str(out))] == [1, 2]
    architecture = Architecture.from_json(out / "architecture.json")
    printed = capsys.readouterr().out
    assert f"architecture: {out / 'architecture.json'}" in printed
    assert f"train it: python tools/run_net.py --cfg {out / 'retrain.yaml'}" in printed
    retrain = load_cfg(out / "retrain.yaml")
    assert build.build_architecture(retrain) == architecture
    assert retrain.TRAIN.ENABLE
    assert not retrain.SEARCH.ENABLE
    assert build.build_model(retrain)(torch.randn(2, 3, 4, 32, 32)).shape == (2, 8)

    figures = plot_search._figures([out])
    assert list(figures) == ["search_curve", "policy", "coverage"]


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        (
            "one_shot_evolution",
            {"SEARCH.EVOLUTION_NETWORKS": 3, "SEARCH.EVOLUTION_POPULATION": 2, "SEARCH.RANK_BY": "loss"},
        ),
        ("one_shot_evolution", {"SEARCH.EVOLUTION_NETWORKS": 3, "SEARCH.EVOLUTION_ALGORITHM": "nsga2"}),
        ("darts", {"SEARCH.DERIVE": "within_budgets", "SEARCH.COST_TERM": "lagrangian"}),
        ("parsec", {"SEARCH.EMA_DECAY": 0.5, "SEARCH.RANK_BY": "loss"}),
    ],
)
def test_every_method_writes_its_result_and_what_it_cost(options, tmp_path, capsys, method, changes):
    jobs.run(demo_cfg(options(**{"SEARCH.METHOD": method, **changes})))
    result = json.loads((tmp_path / "out" / "search_result.json").read_text())
    assert result["cost"]["macs"] > 0
    assert set(result["cost"]) == {"macs", "cpu_seconds", "peak_bytes"}
    assert result["derived"]["budgets"][0]["met"]
    # The scores of candidates come on top of the training.
    trained = read_history(str(tmp_path / "out"))[-1]["macs"] * 1e12
    assert (result["cost"]["macs"] > trained * 1.001) == (method != "darts")
    printed = capsys.readouterr().out
    assert ("a loss of" in printed) == ("SEARCH.RANK_BY" in changes)
    assert ("has NOT decided" in printed) == (method != "one_shot_evolution")


def test_an_average_begins_with_the_search(options):
    jobs.run(demo_cfg(options()))
    with pytest.raises(SearchError, match=r"saved with no average of the weights \(SEARCH.EMA_DECAY\)"):
        jobs.run(demo_cfg(options(**{"SEARCH.EMA_DECAY": 0.9})))


def test_one_search_gives_an_architecture_a_budget(options, tmp_path, capsys):
    targets = [0.00028, 0.0003]
    cfg = demo_cfg(options(**{"SEARCH.PARETO_GFLOPS": targets, "SEARCH.DERIVE": "most_likely"}))
    jobs.run(cfg)
    folder = tmp_path / "out" / "pareto"
    for target in targets:
        architecture = Architecture.from_json(folder / f"architecture_{target:g}.json")
        assert complexity(architecture, clip=(4, 32, 32), num_classes=8).macs <= target * 1e9
        assert build.build_architecture(load_cfg(folder / f"retrain_{target:g}.yaml")) == architecture
    assert len(json.loads((folder / "pareto.json").read_text())) == 2
    assert f"for other budgets, in {folder}" in capsys.readouterr().out


@pytest.fixture
def latency_table(options, tmp_path) -> Path:
    return write_latency_table(demo_cfg(options()), tmp_path / "latency.json")


def test_milliseconds_as_a_budget(options, latency_table, tmp_path, capsys):
    changes = {
        "SEARCH.TARGET_GFLOPS": 0.0,
        "SEARCH.BUDGETS": [["latency_ms", 300.0, 1.0], ["params_m", 0.0025, 0.5]],
        "SEARCH.LATENCY_TABLE": str(latency_table),
        "SEARCH.PARETO_LATENCY_MS": [290.0, 300.0],
        "SEARCH.DERIVE": "within_budgets",
    }
    jobs.run(demo_cfg(options(**changes)))
    out = tmp_path / "out"
    derived = json.loads((out / "search_result.json").read_text())["derived"]
    architecture = Architecture.from_json(out / "architecture.json")
    counted = complexity(architecture, clip=(4, 32, 32), num_classes=8)
    assert derived["latency_ms"] == pytest.approx(counted.macs / 1e3)
    assert derived["latency_ms"] <= 300.0
    assert counted.params <= 2500
    assert [(one["metric"], one["met"]) for one in derived["budgets"]] == [("latency_ms", True), ("params_m", True)]
    # The made-up milliseconds are far from what this network takes, which is measured whole.
    assert 0 < derived["measured_ms"] < 100
    assert "latency_ms" in read_history(str(out))[-1]
    rows = json.loads((out / "pareto" / "pareto.json").read_text())
    assert [row["budgets"][0]["target"] for row in rows] == [290.0, 300.0]
    assert rows[0]["latency_ms"] <= 290.0
    assert all((out / "pareto" / f"retrain_{target}ms.yaml").is_file() for target in (290, 300))
    assert "measured whole: met" in capsys.readouterr().out
    assert "pareto" not in plot_search._figures([out])  # nothing was scored


def test_a_scored_pareto_is_drawn(options, latency_table, tmp_path):
    changes = {"SEARCH.LATENCY_TABLE": str(latency_table), "SEARCH.PARETO_LATENCY_MS": [280.0, 310.0]}
    jobs.run(demo_cfg(options(**changes)))
    (axes,) = plot_search._figures([tmp_path / "out"])["pareto"].axes
    assert axes.get_xlabel() == "milliseconds of the whole network, measured"
    assert len(axes.collections[0].get_offsets()) == 2


class StopsAt:
    """A normalisation in whose call `at` somebody presses Ctrl-C."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, clip_BCTHW):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return clip_BCTHW.float() / 255


def test_ctrl_c_ends_a_search_with_130_and_it_goes_on(options, tmp_path, capsys, monkeypatch):
    command = ["run", "--cfg", str(config_path("autox3d/search_demo.yaml")), *map(str, options())]
    monkeypatch.setattr(build.optimisation, "build_preprocess", lambda cfg: StopsAt(1))
    assert cli.main(command) == 130
    assert "interrupted: training was interrupted in epoch 1 of 2" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out" / "checkpoints").glob("checkpoint_*")] == [
        "checkpoint_epoch_00001_step_00000001.pyth"
    ]
    monkeypatch.undo()
    assert cli.main(command) == 0
    assert [record["epoch"] for record in read_history(str(tmp_path / "out"))] == [1, 2]


OTHERS = {
    "DATA.SAMPLING_RATE": 2, "DATA.MEAN": [0.5, 0.5, 0.5], "TEST.NUM_ENSEMBLE_VIEWS": 1, "TEST.NUM_SPATIAL_CROPS": 1,
    "TEST.BATCH_SIZE": 3, "DATA.RANDOM_FLIP": False, "AUTOX3D.STEM": "x3d", "AUTOX3D.SE_RATIO": 0.25,
    "GLORE.NODE_RATIO": 0.5, "NUM_GPUS": 0, "SEARCH.DERIVE": "most_likely",
}  # fmt: skip


def test_what_is_trained_is_what_the_budget_was_met_with_and_runs_as_printed(options, data, tmp_path, capsys):
    """A recipe for another clip, batch, stem and machine."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.csv").write_text((data / "train.csv").read_text())
    recipe = {"SEARCH.RETRAIN_CFG": "autox3d/S.yaml", "DATA.PATH_TO_DATA_DIR": str(lists)}
    jobs.run(demo_cfg(options(**OTHERS, **recipe)))
    printed = capsys.readouterr().out
    out = tmp_path / "out"
    retrain, shipped = load_cfg(out / "retrain.yaml"), load_cfg(config_path("autox3d/S.yaml"))
    for key, value in OTHERS.items():
        if not key.startswith("SEARCH."):
            assert value_at(retrain, key) == value
    assert (retrain.TRAIN.BATCH_SIZE, retrain.DATA.NUM_FRAMES, retrain.DATA_LOADER.NUM_WORKERS) == (4, 4, 0)
    assert retrain.SOLVER.MAX_EPOCH == shipped.SOLVER.MAX_EPOCH
    assert pytest.approx(shipped.SOLVER.BASE_LR / shipped.TRAIN.BATCH_SIZE) == retrain.SOLVER.BASE_LR / 4

    found = json.loads((out / "search_result.json").read_text())["derived"]
    gflops = found["gflops"]
    model = build.build_model(retrain)
    clip = (retrain.DATA.NUM_FRAMES, retrain.DATA.TRAIN_CROP_SIZE, retrain.DATA.TRAIN_CROP_SIZE)
    assert count_module(model, clip).macs == pytest.approx(gflops * 1e9)

    # There is no list for validation or the test, so the training does without.
    assert (retrain.TRAIN.EVAL_PERIOD, retrain.TEST.ENABLE) == (0, False)
    scaled = "SOLVER.BASE_LR 0.1 -> 0.003125 (0.05 for the recipe's batch of 64, scaled to 4)"
    for change in ("BN.USE_PRECISE_STATS False -> True", "TRAIN.EVAL_PERIOD 10 -> 0", scaled):
        assert f"\n  {change}\n" in printed
        assert f"\n#   {change}\n" in (out / "retrain.yaml").read_text()
    command = ["run", "--cfg", str(out / "retrain.yaml"), "SOLVER.MAX_EPOCH", "1", "SOLVER.WARMUP_EPOCHS", "0.0"]
    assert cli.main(command) == 0


def test_shared_search_uses_the_whole_list(options):
    from pytorchvideo_autox3d.distributed import init_from_env

    info = init_from_env("gloo")

    def loaders(**changes):
        job = SearchJob.from_config(demo_cfg(options(**changes)))
        return build.build_search_loaders(job.cfg, info, job.parts)

    (weights,) = loaders(**{"SEARCH.SHARED": True})
    assert weights.dataset.num_videos == 16
    weights, policy = loaders(**{"SEARCH.POLICY_SPLIT": 0.25})
    assert (weights.dataset.num_videos, policy.dataset.num_videos) == (12, 4)
    assert not set(weights.dataset.paths) & set(policy.dataset.paths)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"SEARCH.TARGET_GFLOPS": 0.3}, SearchError, r"SEARCH.TARGET_GFLOPS.*was 0.0003 meant"),
        ({"SEARCH.PARETO_GFLOPS": [0.0003, 9.0]}, SearchError, "SEARCH.PARETO_GFLOPS: 9 GFLOPs is outside the space's"),
        ({"SEARCH.PARETO_GFLOPS": [-1]}, ConfigError, "SEARCH.PARETO_GFLOPS is"),
        (
            {"SEARCH.BUDGETS": [["gflops", 0.0003]]},
            ConfigError,
            "SEARCH.BUDGETS has .*expected .metric, target, weight",
        ),
        (
            {"SEARCH.BUDGETS": [["gflops", 3e-4, 1]]},
            ConfigError,
            "SEARCH.TARGET_GFLOPS is 0.0003, expected it in SEARCH.BU",
        ),
        (
            {"SEARCH.TARGET_GFLOPS": 0.0, "SEARCH.BUDGETS": [["watts", 3.0, 1.0]]},
            SearchError,
            "SEARCH.BUDGETS: budget 'watts' is none of gflops, params_m, latency_ms",
        ),
        (
            {"SEARCH.TARGET_GFLOPS": 0.0, "SEARCH.BUDGETS": "[['gflops',0.0003,1e999]]"},
            SearchError,
            "SEARCH.BUDGETS: a weight of inf is negative or not finite",
        ),
        (
            {"SEARCH.TARGET_GFLOPS": 0.0, "SEARCH.BUDGETS": [["gflops", 0.0003, 1.0], ["gflops", 0.00029, 1.0]]},
            SearchError,
            "SEARCH.BUDGETS: two budgets for one metric, gflops",
        ),
        (
            {"SEARCH.TARGET_GFLOPS": 0.0, "SEARCH.BUDGETS": [["latency_ms", 3.0, 1.0]]},
            SearchError,
            "SEARCH.BUDGETS: a budget in latency_ms needs a measured SEARCH.LATENCY_TABLE",
        ),
        (
            {"SEARCH.LATENCY_TABLE": "nowhere.json"},
            ConfigError,
            "SEARCH.LATENCY_TABLE: no latency table 'nowhere.json'",
        ),
        ({"SEARCH.PARETO_LATENCY_MS": [3.0]}, ConfigError, "SEARCH.PARETO_LATENCY_MS is set, expected beside it"),
        ({"SEARCH.LATENCY_MACHINE": "board"}, ConfigError, "SEARCH.LATENCY_MACHINE is set, expected beside it"),
        (
            {"SEARCH.LATENCY_BACKEND": "tpu"},
            ConfigError,
            "SEARCH.LATENCY_BACKEND is 'tpu', expected one of nothing, eager",
        ),
        (
            {"SEARCH.METHOD": "dart"},
            RegistryError,
            "SEARCH.METHOD: no entry named 'dart'; did you mean 'darts'",
        ),
        ({"SEARCH.METHOD": "random"}, ConfigError, "SEARCH.METHOD: 'random' trains no supernet but single networks"),
        ({"SEARCH.NUM_SAMPLES": 0}, SearchError, "SEARCH.NUM_SAMPLES: 0 is below 1"),
        ({"SEARCH.NUM_SAMPLES": 1}, SearchError, "SEARCH.NUM_SAMPLES: 1 is too few"),
        ({"SEARCH.WARMUP_EPOCHS": 2}, SearchError, "SEARCH.WARMUP_EPOCHS: 2 is outside .0, SEARCH.EPOCHS"),
        ({"SEARCH.SPREAD": "samples", "SEARCH.METHOD": "darts"}, SearchError, "SEARCH.SPREAD: 'samples' goes with"),
        ({"SEARCH.SPREAD": "samples", "MIXUP.ENABLE": True}, SearchError, "SEARCH.SPREAD: 'samples' goes with"),
        ({"SEARCH.SPREAD": "samples", "SEARCH.DISTILL": True}, SearchError, "SEARCH.SPREAD: 'samples' goes with"),
        ({"SEARCH.RETRAIN_CFG": "nowhere.yaml"}, ConfigError, "SEARCH.RETRAIN_CFG: no .*nowhere.yaml"),
        ({"SEARCH.BEST_OF": 0}, ConfigError, "SEARCH.BEST_OF is 0"),
        ({"SEARCH.BN_BATCHES": -1}, ConfigError, "SEARCH.BN_BATCHES is -1"),
        ({"SEARCH.COST_WEIGHT": -1.0}, ConfigError, "SEARCH.COST_WEIGHT is -1.0"),
        ({"SEARCH.COST_WEIGHT": "1e999"}, ConfigError, "SEARCH.COST_WEIGHT is inf, expected"),
        ({"SEARCH.POLICY_WEIGHT_DECAY": -1.0}, ConfigError, "SEARCH.POLICY_WEIGHT_DECAY is -1.0, expected"),
        ({"SOLVER.WARMUP_EPOCHS": 2.0}, ConfigError, "SOLVER.WARMUP_EPOCHS is 2, expected less than SEARCH.EPOCHS 2"),
        ({"MODEL.MODEL_NAME": "AutoX3DSerch"}, RegistryError, "MODEL.MODEL_NAME"),
        ({"SEARCH.POLICY_SPLIT": 0.0}, SearchError, "SEARCH.POLICY_SPLIT"),
        ({"TRAIN.BATCH_SIZE": 12}, SearchError, "SEARCH.POLICY_SPLIT: .* fewer than TRAIN.BATCH_SIZE 12"),
        ({"SOLVER.OPTIMIZING_METHOD": "lion"}, ConfigError, "SOLVER.OPTIMIZING_METHOD"),
        ({"SOLVER.COSINE_END_LR": 0.2}, ConfigError, "SOLVER.COSINE_END_LR"),
        ({"MODEL.LOSS_FUNC": "mse"}, ConfigError, "MODEL.LOSS_FUNC"),
        ({"MIXUP.ENABLE": True, "AUTOX3D.LABEL_SMOOTHING": 0.1}, ConfigError, "AUTOX3D.LABEL_SMOOTHING"),
        ({"AUTOX3D.DEPTH_FACTOR": 2.0}, ConfigError, "AUTOX3D.DEPTH_FACTOR"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(options, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        jobs.run(demo_cfg(options(**changes)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "hint"), [("parsec", "; SEARCH.DERIVE within_budgets does without it"), ("one_shot_evolution", "")]
)
def test_a_missing_validation_list_is_told_with_what_a_search_can_do(options, data, tmp_path, method, hint):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.csv").write_text((data / "train.csv").read_text())
    with pytest.raises(DataError, match=rf"no val\.csv, .* of class folders{hint}$"):
        jobs.run(demo_cfg(options(**{"DATA.PATH_TO_DATA_DIR": str(lists), "SEARCH.METHOD": method})))
    assert not (tmp_path / "out").exists()


def test_another_start_says_what_changed_and_a_refused_one_changes_nothing(options, tmp_path, capsys):
    jobs.run(demo_cfg(options()))
    record = tmp_path / "out" / "config.yaml"
    before = record.read_text()
    with pytest.raises(AutoX3DError):
        jobs.run(demo_cfg(options(**{"SEARCH.CHANNEL_SELECTION": "naive"})))
    assert record.read_text() == before
    jobs.run(demo_cfg(options(**{"SEARCH.NUM_SAMPLES": 3})))
    assert "resuming with another setting: SEARCH.NUM_SAMPLES 2 -> 3" in capsys.readouterr().out
    assert record.read_text() != before


@pytest.mark.parametrize("name", ["search_S", "search_X3D_S_attention", "search_demo"])
def test_shipped_searches_are_within_reach(name):
    cfg = load_cfg(config_path(f"autox3d/{name}.yaml"))
    build.build_budgets(cfg, build.build_supernet(cfg))

    assert build.build_search_settings(cfg).num_samples == cfg.SEARCH.NUM_SAMPLES
    assert build.retrain_config(cfg)["MODEL"]["NUM_CLASSES"] == cfg.MODEL.NUM_CLASSES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DATA.NUM_FRAMES": 8}, "at clips of 4x32x32, not 8x32x32"),
        ({"SEARCH.LATENCY_MACHINE": "board"}, "with machine '.*', meant is 'board'"),
        ({"SEARCH.LATENCY_BACKEND": "openvino"}, "with backend 'eager', meant is 'openvino'"),
        ({"SEARCH.LATENCY_THREADS": 2}, "with threads 1, meant is 2"),
    ],
)
def test_a_latency_table_of_something_else_is_refused(options, latency_table, tmp_path, changes, message):
    changes = {"SEARCH.LATENCY_TABLE": str(latency_table), **changes}
    with pytest.raises(ConfigError, match=f"SEARCH.LATENCY_TABLE: .*latency.json: was measured {message}"):
        jobs.run(demo_cfg(options(**changes)))
    assert not (tmp_path / "out").exists()


def test_a_table_of_another_machine_must_be_asked_for(options, latency_table, tmp_path, capsys):
    table = json.loads(latency_table.read_text())
    latency_table.write_text(json.dumps({**table, "machine": "board"}))
    changes = {
        "SEARCH.TARGET_GFLOPS": 0.0,
        "SEARCH.BUDGETS": [["latency_ms", 300.0, 1.0]],
        "SEARCH.LATENCY_TABLE": str(latency_table),
    }
    with pytest.raises(ConfigError, match="with machine 'board', meant is"):
        jobs.run(demo_cfg(options(**changes)))
    assert not (tmp_path / "out").exists()
    jobs.run(demo_cfg(options(**changes, **{"SEARCH.LATENCY_MACHINE": "board"})))
    assert "not measured whole: " in capsys.readouterr().out
    assert "measured_ms" not in json.loads((tmp_path / "out" / "search_result.json").read_text())["derived"]
