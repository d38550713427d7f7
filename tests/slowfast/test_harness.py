"""Which jobs a config asks for, and what is refused before PySlowFast is asked; without PySlowFast."""

import importlib.util

import pytest

from pytorchvideo_autox3d.config import config_path, get_cfg
from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError, DecodeError
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


def test_without_slowfast_one_line_says_how_to_get_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *args: None if name == "slowfast" else find(name, *args)
    )
    with pytest.raises(AutoX3DError, match="PySlowFast is not importable: git clone") as raised:
        harness.run([config_path("autox3d/S.yaml")])
    assert "\n" not in str(raised.value)


def test_an_error_of_a_data_worker_becomes_one_line_again():
    wrapped = DecodeError("Caught DecodeError in DataLoader worker process 0.\nTraceback ...\n"
                          "pytorchvideo_autox3d.errors.DecodeError: a.mp4: no video stream\n")  # fmt: skip
    error = harness._one_line(wrapped)
    assert (type(error), str(error)) == (DecodeError, "a.mp4: no video stream")
    assert str(harness._one_line(ConfigError("DATA.MEAN: empty"))) == "DATA.MEAN: empty"


def test_an_address_is_free():
    assert harness._free_address().startswith("tcp://localhost:")
