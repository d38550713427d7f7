"""The commands about data, as a user runs them: check, resize, draw a small Kinetics, look at clips."""

import json

import pytest
from PIL import Image

from pytorchvideo_autox3d.cli import main
from pytorchvideo_autox3d.data import DemoSettings, make_demo_data, read_list


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    settings = DemoSettings(train_per_class=2, val_per_class=1, test_per_class=1, size=(64, 48), num_frames=12)
    return make_demo_data(tmp_path_factory.mktemp("demo") / "data", settings=settings, show_progress=False)


def test_check_data(demo, tmp_path, capsys):
    (tmp_path / "list.csv").write_text((demo / "train.csv").read_text() + "videos/nowhere.mp4 3\n")
    command = ["check-data", str(tmp_path / "list.csv"), "--prefix", str(demo), "--workers", "0"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "16 of 17 present, 16 in the clean list" in printed
    assert "no such file" in printed
    assert "videos/nowhere.mp4" in (tmp_path / "out" / "report.txt").read_text()
    assert (tmp_path / "out" / "clean.csv").read_text() == (demo / "train.csv").read_text()
    assert json.loads((tmp_path / "out" / "report.json").read_text())["counts"]["missing"] == 1


def test_check_data_without_a_list(tmp_path, capsys):
    assert main(["check-data", str(tmp_path / "nowhere.csv")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/nowhere.csv: no such list of videos\n"


def test_resize_data(demo, tmp_path, capsys):
    command = ["resize-data", str(demo / "val.csv"), str(tmp_path / "small"), "--prefix", str(demo)]
    assert main([*command, "--short-side", "32", "--workers", "0"]) == 0
    assert "8 of 8 videos" in capsys.readouterr().out
    assert len(read_list(str(tmp_path / "small" / "val.csv"))) == 8


def test_make_mini_kinetics(demo, tmp_path, capsys):
    command = ["make-mini-kinetics", str(demo / "train.csv"), str(demo / "val.csv"), str(tmp_path)]
    assert main([*command, "--classes", "3", "--train-per-class", "2", "--val-per-class", "1"]) == 0
    assert "3 classes of 2 training and 1 validation videos each" in capsys.readouterr().out
    assert len(read_list(str(tmp_path / "train.csv"), num_classes=3)) == 6


@pytest.mark.parametrize(("mode", "rows"), [("train", 6), ("test", 6)])
def test_show_clips(demo, tmp_path, capsys, mode, rows):
    (tmp_path / "cfg.yaml").write_text(
        "DATA: {NUM_FRAMES: 4, SAMPLING_RATE: 2, TRAIN_CROP_SIZE: 32, TEST_CROP_SIZE: 32,\n"
        "  TRAIN_JITTER_SCALES: [32, 40]}\n"
        "MODEL: {NUM_CLASSES: 8}\nAUG: {ENABLE: True}\n"
    )
    command = ["show-clips", "--cfg", str(tmp_path / "cfg.yaml"), "--output", str(tmp_path / "clips.png")]
    data = ["DATA.PATH_TO_DATA_DIR", str(demo), "DATA.PATH_PREFIX", str(demo)]
    assert main([*command, "--mode", mode, "--videos", "3", "--clips", "2", *data]) == 0
    assert f"{rows} clips of 3 videos" in capsys.readouterr().out
    with Image.open(tmp_path / "clips.png") as sheet:
        assert sheet.height > rows * 72
