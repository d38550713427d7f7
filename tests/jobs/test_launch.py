"""What is refused before a job starts: every error is raised by `make_jobs` alone, with nothing written."""

from importlib import import_module
from pathlib import Path

import pytest

from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.errors import ConfigError, DataError, RegistryError
from pytorchvideo_autox3d.jobs import make_jobs

SPACE = """
name: tiny
groups:
  - {channels: [8], kernels: [[1, 3]], expansions: [1.5], attentions: [none], blocks: 1, stride: 2}
  - {channels: [8], kernels: [[3, 3]], expansions: [1.5], attentions: [none, glor], blocks: 1, stride: 2}
"""


def cfg_of(file, **changes):
    return load_cfg(config_path(file), [item for pair in changes.items() for item in pair])


@pytest.mark.parametrize("file", ["autox3d/search_demo.yaml", "autox3d/demo.yaml"])
def test_a_space_with_an_unknown_attention(file, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    with pytest.raises(ConfigError) as caught:
        make_jobs(cfg_of(file, **{"AUTOX3D.SPACE": str(path), "OUTPUT_DIR": str(tmp_path / "out")}))
    message = "group 2: attentions: no attention named 'glor'; did you mean 'glore'? known: glore, none, nonlocal"
    assert str(caught.value) == f"AUTOX3D.SPACE: {path}: {message}"
    assert not (tmp_path / "out").exists()


@pytest.fixture
def lists(tmp_path):
    for name in ("train", "val", "test"):
        (tmp_path / f"{name}.csv").write_text("a.mp4 0\n")
    return {"DATA.PATH_TO_DATA_DIR": str(tmp_path), "OUTPUT_DIR": str(tmp_path / "out")}


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
        ("SOLVER.OPTIMIZING_METHOD", "lion", "'lion' is none of sgd, adam, adamw"),
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
