"""A package outside ours adds one component of every kind, and searches, trains and tests with them from a config."""

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from pytorchvideo_autox3d import cli
from tests.processes import run_main

OUTSIDE = Path(__file__).with_name("outside")
SPACE = """
name: mine
stem: {channels: 4}
head: {channels: 8, hidden: 8}
groups:
  - {channels: [4, 8], kernels: [[1, 3]], expansions: [1.5], attentions: [channel_gate], blocks: 1, stride: 2}
  - {channels: [4, 8], kernels: [[3, 3]], expansions: [1.5], attentions: [position_gate], blocks: 1, stride: 2}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Lists of arrays, a space, and the config that all jobs here start from."""
    folder = tmp_path_factory.mktemp("mine")
    generator = np.random.default_rng(0)
    for number in range(8):
        np.save(folder / f"{number}.npy", generator.integers(0, 255, (6, 24, 24, 3), dtype=np.uint8))
    for mode in ("train", "val", "test"):
        (folder / f"my_{mode}.csv").write_text("".join(f"{number}.npy {number % 2}\n" for number in range(8)))
    (folder / "space.yaml").write_text(SPACE)
    config = {
        "AUTOX3D": {"IMPORTS": ["my_video_parts"], "SPACE": str(folder / "space.yaml"), "READER": "npy"},
        "DATA": {
            "PATH_TO_DATA_DIR": str(folder), "PATH_PREFIX": str(folder), "NUM_FRAMES": 4, "SAMPLING_RATE": 1,
            "TRAIN_CROP_SIZE": 16, "TRAIN_JITTER_SCALES": [16, 20], "TEST_CROP_SIZE": 16,
        },
        "TRAIN": {"DATASET": "my_lists", "BATCH_SIZE": 4, "EVAL_PERIOD": 1},
        "TEST": {"DATASET": "my_lists", "BATCH_SIZE": 2, "NUM_ENSEMBLE_VIEWS": 1, "NUM_SPATIAL_CROPS": 1},
        "MODEL": {"NUM_CLASSES": 2},
        "SOLVER": {"MAX_EPOCH": 1, "BASE_LR": 0.01},
        "DATA_LOADER": {"NUM_WORKERS": 0},
        "NUM_GPUS": 0,
    }  # fmt: skip
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    return folder


def run_all(lists: list[str]) -> None:
    """Several commands in one process: starting one costs seconds."""
    for arguments in map(json.loads, lists):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            code = cli.main(["run", "--cfg", *arguments])
        print("RESULT", json.dumps([code, errors.getvalue()]))


def run(*commands: dict, config: Path, paths: Sequence[Path] = (OUTSIDE,)) -> list[tuple[int, str]]:
    """(exit code, what went to standard error) of each command, given by its options."""
    lists = [[str(config), *(str(item) for pair in command.items() for item in pair)] for command in commands]
    done = run_main(run_all, map(json.dumps, lists), config.parent, paths=paths)
    assert done.returncode == 0, done.stderr
    return [
        tuple(json.loads(line.removeprefix("RESULT ")))
        for line in done.stdout.splitlines()
        if line.startswith("RESULT")
    ]


def test_searches_with_them_and_trains_what_it_finds(folder, tmp_path):
    search = {
        "SEARCH.ENABLE": True, "SEARCH.METHOD": "my_search", "SEARCH.CHANNEL_SELECTION": "last", "SEARCH.EPOCHS": 1,
        "SEARCH.WARMUP_EPOCHS": 0, "SEARCH.NUM_SAMPLES": 2, "SEARCH.SHARED": True, "SEARCH.TARGET_GFLOPS": 0.0,
        "OUTPUT_DIR": tmp_path,
    }  # fmt: skip
    ((code, errors),) = run(search, config=folder / "mine.yaml")
    assert code == 0, errors
    groups = json.loads((tmp_path / "architecture.json").read_text())["groups"]
    assert [group["attention"] for group in groups] == ["channel_gate", "position_gate"]
    ((code, errors),) = run({}, config=tmp_path / "retrain.yaml")
    assert code == 0, errors
    assert json.loads((tmp_path / "retrain" / "test_results.json").read_text())["num_videos"] == 8


def test_trains_and_tests_a_model_with_its_own_keys_and_a_head_and_knows_what_there_is(folder, tmp_path):
    groups = [[[1, 3], 4, 1.5, "channel_gate"], [[3, 3], 8, 1.5, "position_gate"]]
    model = {"MODEL.MODEL_NAME": "PooledPixels", "POOLEDPIXELS.WIDTH": 7, "OUTPUT_DIR": tmp_path / "model"}
    head = {"AUTOX3D.HEAD": "mean", "AUTOX3D.GROUPS": groups, "OUTPUT_DIR": tmp_path / "head"}
    wrong = {
        "no module named 'nowhere'": {"AUTOX3D.IMPORTS": "[json, nowhere.at_all]"},
        "unknown key POOLEDPIXELS.WIDHT; did you mean POOLEDPIXELS.WIDTH?": {"POOLEDPIXELS.WIDHT": 3},
        "no video reader named 'npz'; did you mean 'npy'?": {"AUTOX3D.READER": "npz"},
        "AUTOX3D.HEAD: no entry named 'meen'; did you mean 'mean'?": {"AUTOX3D.HEAD": "meen"},
    }
    nowhere = {"OUTPUT_DIR": tmp_path / "nowhere", "AUTOX3D.GROUPS": groups}  # SPACE counts beside groups alone
    results = run(model, head, *(command | nowhere for command in wrong.values()), config=folder / "mine.yaml")
    for name, (code, errors) in zip(("model", "head"), results[:2], strict=True):
        assert code == 0, errors
        assert (tmp_path / name / "test_results.json").is_file()
    assert "WIDTH: 7" in (tmp_path / "model" / "config.yaml").read_text()
    for message, (code, errors) in zip(wrong, results[2:], strict=True):
        (line,) = errors.strip().splitlines()
        assert code == 1
        assert message in line
    assert not (tmp_path / "nowhere").exists()


def test_a_module_that_is_not_importable_is_named(folder, tmp_path):
    ((code, errors),) = run({"OUTPUT_DIR": tmp_path / "out"}, config=folder / "mine.yaml", paths=())
    assert code == 1
    assert "AUTOX3D.IMPORTS: no module named 'my_video_parts'; is its folder on PYTHONPATH?" in errors
    assert not (tmp_path / "out").exists()
