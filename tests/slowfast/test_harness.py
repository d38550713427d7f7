"""Which jobs a config asks for, and what is refused before PySlowFast is asked; without PySlowFast."""

import importlib.util

import pytest
from torch.multiprocessing.spawn import ProcessRaisedException

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.config import get_cfg
from pytorchvideo_autox3d.data.pyav_reader import NoVideoStreamError
from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError, DataError, DecodeError, TrainingError
from pytorchvideo_autox3d.slowfast import harness


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["train_job", "test_job"]),
        ({"TRAIN": False}, ["test_job"]),
        ({"TEST": False}, ["train_job"]),
        ({"SEARCH": True}, ["search_job"]),
    ],
)
def test_jobs(settings, names):
    cfg = get_cfg()
    for node, enabled in settings.items():
        cfg[node].ENABLE = enabled
    assert [job.__name__ for job in harness.jobs_of(cfg)] == names


def test_machines_with_one_gpu_each_would_be_separate_jobs():
    cfg = get_cfg()
    cfg.NUM_SHARDS, cfg.NUM_GPUS = 4, 1
    with pytest.raises(ConfigError, match=r"PySlowFast would run 4 separate jobs; use --harness native"):
        harness._check_machines(cfg, "tcp://host:1")


def test_several_machines_need_an_address():
    cfg = get_cfg()
    cfg.NUM_SHARDS, cfg.NUM_GPUS = 2, 8
    with pytest.raises(ConfigError, match="needs --init_method tcp://HOST:PORT"):
        harness._check_machines(cfg, None)


def run_net(capsys):
    """The error line of the command, which is all that it prints."""
    assert cli.main(["run", "--harness", "slowfast", "--cfg", "configs/autox3d/S.yaml"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    return captured.err.strip()


def test_without_slowfast_one_line_says_how_to_get_it(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *args: None if name == "slowfast" else find(name, *args)
    )
    assert run_net(capsys).startswith(
        "error: PySlowFast is not importable: git clone https://github.com/facebookresearch"
    )


def test_the_release_of_2020_is_one_line_too(monkeypatch, capsys, tmp_path):
    old = tmp_path / "slowfast" / "models"
    old.mkdir(parents=True)
    (old.parent / "__init__.py").write_text("")
    (old / "__init__.py").write_text("")
    (old / "model_builder.py").write_text("class SlowFastModel: ...\n")
    find = importlib.util.find_spec
    spec = importlib.util.spec_from_file_location("slowfast", old.parent / "__init__.py")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *args: spec if name == "slowfast" else find(name, *args)
    )
    assert "has no MODEL_REGISTRY (PyPI's slowfast 1.0 of 2020 has none): git clone" in run_net(capsys)


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (DecodeError("Caught DecodeError in DataLoader worker process 0.\nTraceback ...\n"
                     "pytorchvideo_autox3d.errors.DecodeError: a.mp4: no video stream\n"),
         DecodeError, "a.mp4: no video stream"),
        (ProcessRaisedException("\n\n-- Process 1 terminated with the following error:\nTraceback ...\n"
                                "pytorchvideo_autox3d.errors.DataError: train.csv: no such list\n", 1, 42),
         DataError, "train.csv: no such list"),
        (NoVideoStreamError("...\npytorchvideo_autox3d.data.pyav_reader.NoVideoStreamError: a.mp4: sound alone\n"),
         DecodeError, "a.mp4: sound alone"),
        (ProcessRaisedException("\n-- Process 0 terminated\npytorchvideo_autox3d.errors.DecodeError: Caught DecodeError"
                                "\\npytorchvideo_autox3d.errors.DecodeError: a\\nb.mp4: empty", 0, 42),
         DecodeError, "a\\nb.mp4: empty"),
        (RuntimeError("ERROR: Got NaN losses 2026-01-01"), TrainingError, "the loss is not a number: lower SOLVER"),
    ],
)  # fmt: skip
def test_an_error_at_the_end_of_a_traceback_becomes_one_line_again(raised, kind, message):
    error = harness._in_one_line(raised)
    assert type(error) is kind
    assert str(error).startswith(message)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "raised",
    [ConfigError("DATA.MEAN: empty"), RuntimeError("shape: mismatch"), RuntimeError(),
     RuntimeError("pytorchvideo_autox3d.errors.DataError: a list\nDuring handling ...\nValueError: another")],
)  # fmt: skip
def test_any_other_error_stays_what_it_is(raised):
    assert harness._in_one_line(raised) is None


def test_a_package_that_slowfast_lacks_is_named():
    with (
        pytest.raises(AutoX3DError, match=r"PySlowFast needs cv2, .*pip install 'pytorchvideo_autox3d\[slowfast\]'"),
        harness._missing_packages_in_one_line(),
    ):
        raise ModuleNotFoundError("No module named 'cv2'", name="cv2")


def test_a_part_of_slowfast_that_is_missing_is_no_package():
    with pytest.raises(ModuleNotFoundError), harness._missing_packages_in_one_line():
        raise ModuleNotFoundError("No module named 'slowfast.models'", name="slowfast.models")


def test_an_output_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"OUTPUT_DIR: can't write to .*file: "):
        harness._make_output(str(tmp_path / "file"))


def test_an_address_is_free():
    assert harness._free_address().startswith("tcp://localhost:")
