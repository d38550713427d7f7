"""The commands about data, as a user runs them: check, resize, draw a small Kinetics, look at clips."""

import json
import os

import pytest
from PIL import Image

from pytorchvideo_autox3d.cli import main
from pytorchvideo_autox3d.data import read_list
from pytorchvideo_autox3d.data.tools import DemoSettings, make_demo_data


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


def said(capsys, command, *arguments) -> str:
    """The error of a command that must fail: one line, without a traceback."""
    assert main([command, *map(str, arguments)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("option", ["workers", "min-frames", "short-side", "seconds"])
def test_negative_numbers_of_a_check_are_refused(demo, capsys, option):
    error = said(capsys, "check-data", demo / "val.csv", f"--{option}", "-1")
    assert error == f"error: --{option} is -1, expected 0 or more\n"
    assert not (demo / "val.csv.check").exists()


def test_outputs_that_cannot_be_written(demo, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    lists, output = (demo / "train.csv", demo / "val.csv"), tmp_path / "file"
    check = said(capsys, "check-data", lists[1], "--prefix", demo, "--output", output, "--workers", 0)
    assert check == f"error: {output}: can't write there: File exists\n"
    assert str(output) in said(capsys, "resize-data", lists[1], output, "--prefix", demo, "--workers", 0)
    sizes = ["--classes", 2, "--train-per-class", 1, "--val-per-class", 1]
    assert str(output) in said(capsys, "make-mini-kinetics", *lists, output, *sizes)
    assert str(output) in said(capsys, "make-demo-data", output / "below")


def test_mini_kinetics_that_cannot_be_drawn_leaves_nothing(demo, tmp_path, capsys):
    lists, output = (demo / "train.csv", demo / "val.csv"), tmp_path / "mini"
    for option in ("classes", "train-per-class", "val-per-class"):
        error = said(capsys, "make-mini-kinetics", *lists, output, f"--{option}", "-2")
        assert error == f"error: --{option} is -2, expected 1 or more\n"
    sizes = ["--classes", 2, "--train-per-class", 1, "--val-per-class", 9]
    assert "val.csv: class 0 has 1 videos, expected 9 or more" in said(
        capsys, "make-mini-kinetics", *lists, output, *sizes
    )
    assert not output.exists()


def test_names_in_other_encodings_are_checked_and_kept(demo, tmp_path, capsys):
    """Bytes that are no UTF-8: the file is found by them, the tables spell them out, the clean list has them again."""
    listed = b"videos/gr\xf6sse.mp4 0\nvideos/ma\xdf.mp4 1\n"
    (tmp_path / "list.csv").write_bytes(listed)
    (tmp_path / "videos").mkdir()
    video = next((demo / "videos" / "val").iterdir())
    (tmp_path / os.fsdecode(b"videos/gr\xf6sse.mp4")).write_bytes(video.read_bytes())
    command = ["check-data", str(tmp_path / "list.csv"), "--prefix", str(tmp_path), "--workers", "0"]
    assert main(command) == 0
    assert "videos/ma\\udcdf.mp4" in capsys.readouterr().out
    assert (tmp_path / "list.csv.check" / "clean.csv").read_bytes() == listed.splitlines(keepends=True)[0]
    command = ["resize-data", str(tmp_path / "list.csv"), str(tmp_path / "small"), "--prefix", str(tmp_path)]
    assert main([*command, "--workers", "0"]) == 0
    assert "1 of 2 videos" in capsys.readouterr().out
    assert (tmp_path / "small" / "list.csv").read_bytes() == listed.splitlines(keepends=True)[0]


def test_clips_are_shown_in_a_png(demo, tmp_path, capsys):
    error = said(capsys, "show-clips", "--cfg", tmp_path / "a.yaml", "--output", tmp_path / "clips.txt")
    assert error == f"error: --output: {tmp_path}/clips.txt is no .png file\n"


def test_the_lists_that_are_read_are_never_written_over(demo, tmp_path, capsys):
    for name in ("train", "val", "clean"):
        lines = (demo / f"{name}.csv" if name != "clean" else demo / "val.csv").read_text()
        (tmp_path / f"{name}.csv").write_text(lines)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    train, val, clean = (tmp_path / f"{name}.csv" for name in ("train", "val", "clean"))
    over = "is itself a list that is read"
    assert over in said(capsys, "resize-data", val, tmp_path, "--prefix", demo, "--workers", 0)
    assert over in said(capsys, "check-data", clean, "--output", tmp_path, "--prefix", demo, "--workers", 0)
    sizes = ["--classes", 2, "--train-per-class", 1, "--val-per-class", 1]
    assert over in said(capsys, "make-mini-kinetics", val, train, tmp_path, *sizes)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}
