"""What is refused before a job starts: every error is raised by `make_jobs` alone, with nothing written."""

from importlib import import_module
from pathlib import Path

import pytest

from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.errors import ConfigError, DataError, RegistryError, SeveralErrors
from pytorchvideo_autox3d.jobs import make_jobs

SPACE = """
name: tiny
groups:
  - {channels: [8], kernels: [[1, 3]], expansions: [1.5], attentions: [none], blocks: 1, stride: 2}
  - {channels: [8], kernels: [[3, 3]], expansions: [1.5], attentions: [none, glor], blocks: 1, stride: 2}
"""


def cfg_of(file, **changes):
    return load_cfg(config_path(file), [item for pair in changes.items() for item in pair])


@pytest.fixture
def lists(tmp_path):
    (tmp_path / "a.mp4").touch()
    for name in ("train", "val", "test"):
        (tmp_path / f"{name}.csv").write_text("a.mp4 0\n" * 128)
    folder = str(tmp_path)
    return {"DATA.PATH_TO_DATA_DIR": folder, "DATA.PATH_PREFIX": folder, "OUTPUT_DIR": str(tmp_path / "out")}


@pytest.mark.parametrize("file", ["autox3d/search_demo.yaml", "autox3d/demo.yaml"])
def test_a_space_with_an_unknown_attention(file, lists, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    with pytest.raises(ConfigError) as caught:
        make_jobs(cfg_of(file, **lists, **{"AUTOX3D.SPACE": str(path)}))
    message = "group 2: attentions: no attention named 'glor'; did you mean 'glore'? known: glore, none, nonlocal"
    assert str(caught.value) == f"AUTOX3D.SPACE: {path}: {message}"
    assert not (tmp_path / "out").exists()


launching = import_module("pytorchvideo_autox3d.jobs.launch")  # `jobs.launch` is the function


def test_what_can_run_passes(lists):
    make_jobs(cfg_of("autox3d/demo.yaml", **lists))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("MODEL.MODEL_NAME", "AutoX4D", "no entry named 'AutoX4D'; did you mean 'AutoX3D'? known: AutoX3D, "),
        ("TRAIN.DATASET", "kinetic", "no entry named 'kinetic'; did you mean 'kinetics'? known: hmdb51, kinetics, "),
        (
            "TEST.DATASET",
            "mine",
            "no entry named 'mine'; known: hmdb51, kinetics, ssv2, ucf101",
        ),
        ("AUTOX3D.READER", "cinema", "no video reader named 'cinema'; known: pyav, torchcodec"),
        ("AUTOX3D.AUTO_AUGMENT", "imagnet", "auto_augment is 'imagnet', expected one of imagenet, "),
        ("AUTOX3D.AUTO_AUGMENT", "rand-m1.2.3", "auto_augment is 'rand-m1.2.3': 'm1.2.3' is none of "),
        ("SOLVER.OPTIMIZING_METHOD", "lion", "'lion' is none of sgd, adam, adamw, muon"),
        ("SOLVER.LR_POLICY", "step", "'step' is neither 'cosine' nor "),
        ("MODEL.LOSS_FUNC", "mse", "'mse' is neither cross_entropy nor "),
        ("AUTOX3D.AUTOCAST", "half", "'half' is none of bfloat16, float16"),
        ("AUTOX3D.BAD_VIDEO_TRAIN", "ignore", "'ignore' is neither error nor skip"),
        ("AUTOX3D.BAD_VIDEO_TEST", "ignore", "'ignore' is neither error nor skip"),
    ],
)
def test_a_value_that_names_nothing_is_told_with_its_key(lists, key, value, message):
    with pytest.raises((ConfigError, RegistryError)) as caught:
        make_jobs(cfg_of("autox3d/demo.yaml", **lists, **{key: value}))
    assert str(caught.value).startswith(f"{key}: {message}")
    assert not Path(lists["OUTPUT_DIR"]).exists()


def test_the_searchs_own_model_is_for_searching(lists):
    import_module("pytorchvideo_autox3d.search")  # registers it
    with pytest.raises(ConfigError, match=r"MODEL\.MODEL_NAME: AutoX3DSearch .* SEARCH\.ENABLE True"):
        make_jobs(cfg_of("autox3d/demo.yaml", **lists, **{"MODEL.MODEL_NAME": "AutoX3DSearch"}))


def test_augmentation_is_told_with_its_keys(lists):
    for key, value, named in (
        ("AUG.AA_TYPE", "rand-n0.5", "AUG.AA_TYPE: "),
        ("AUG.RE_MODE", "grey", "AUG.RE_PROB, AUG.RE_MODE, AUG.RE_COUNT: "),
    ):
        changes = {"AUG.ENABLE": True, "AUTOX3D.AUTO_AUGMENT": "", key: value}
        with pytest.raises(ConfigError) as caught:
            make_jobs(cfg_of("autox3d/demo.yaml", **lists, **changes))
        assert str(caught.value).startswith(named)
    with pytest.raises(ConfigError, match="MIXUP: mixup: prob is 2"):
        make_jobs(cfg_of("autox3d/demo.yaml", **lists, **{"MIXUP.ENABLE": True, "MIXUP.PROB": 2.0}))


def test_a_bad_list_is_told_with_its_line(lists):
    Path(lists["DATA.PATH_TO_DATA_DIR"], "val.csv").write_text("a.mp4 0\nb.mp4 8\n")
    with pytest.raises(DataError, match=r"val\.csv:2: label 8 is out of range, expected 0 to 7"):
        make_jobs(cfg_of("autox3d/demo.yaml", **lists))


def errors_of(cfg):
    with pytest.raises(SeveralErrors) as caught:
        make_jobs(cfg)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{len(caught.value.errors)} things to mend: (1) ")
    return [str(error) for error in caught.value.errors]


def test_all_that_a_small_list_lacks_is_said_at_once(tmp_path):
    """Ten videos, no list for validation and test, a wrong prefix, the recipe's batch."""
    (tmp_path / "train.csv").write_text("".join(f"v{n}.mp4 {n % 2}\n" for n in range(10)))
    lists = {
        "DATA.PATH_TO_DATA_DIR": str(tmp_path),
        "DATA.PATH_PREFIX": "/nowhere",
        "OUTPUT_DIR": str(tmp_path / "out"),
    }
    found = errors_of(cfg_of("autox3d/demo.yaml", **lists, **{"SOLVER.LR_POLICY": "step"}))
    assert [error.partition(":")[0] for error in found] == [
        "SOLVER.LR_POLICY", "DATA.PATH_PREFIX '/nowhere'", "TRAIN.BATCH_SIZE", "DATA.PATH_TO_DATA_DIR",
        "DATA.PATH_TO_DATA_DIR",
    ]  # fmt: skip
    prefix, batch, val, test = found[1:]
    assert batch.startswith(f"TRAIN.BATCH_SIZE: 32 is more than the 10 videos of {tmp_path}/train.csv")
    assert prefix.endswith(f"is there, as /nowhere/v0.mp4 ({tmp_path}/train.csv:1)")
    for error, mode, without in ((val, "val", "TRAIN.EVAL_PERIOD 0"), (test, "test", "TEST.ENABLE False")):
        forms = f"no {mode}.csv, no {mode}.json and no folder {mode} of class folders"
        assert error == f"DATA.PATH_TO_DATA_DIR: {tmp_path}: holds {forms}; {without} does without it"
    assert not (tmp_path / "out").exists()


def test_an_error_that_two_jobs_would_meet_is_said_once(tmp_path):
    with pytest.raises(ConfigError, match=r"^DATA\.PATH_TO_DATA_DIR is empty"):
        make_jobs(cfg_of("autox3d/demo.yaml", **{"DATA.PATH_TO_DATA_DIR": "", "OUTPUT_DIR": str(tmp_path / "out")}))


def test_a_worker_that_dies_while_a_job_is_at_something_else_is_told_in_one_line(lists, monkeypatch):
    def lose(*_):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")

    monkeypatch.setattr(launching, "_run_jobs", lose)
    with pytest.raises(DataError, match=r"a worker of the loader is gone .* it had no file under way"):
        launching.run(cfg_of("autox3d/demo.yaml", **lists, NUM_GPUS=0))


def test_gpus_exchange_by_what_dist_backend_says(lists, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert launching._backend(cfg_of("autox3d/demo.yaml", **lists)) == "nccl"
    assert launching._backend(cfg_of("autox3d/demo.yaml", **lists, NUM_GPUS=0)) == "gloo"
    with pytest.raises(ConfigError, match="DIST_BACKEND is 'gloo', expected nccl with GPUs"):
        launching._backend(cfg_of("autox3d/demo.yaml", **lists, DIST_BACKEND="gloo"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert launching._backend(cfg_of("autox3d/demo.yaml", **lists)) == "gloo"
    with pytest.raises(ConfigError, match="DIST_BACKEND is 'mpi', expected one of nccl, gloo"):
        cfg_of("autox3d/demo.yaml", **lists, DIST_BACKEND="mpi")
