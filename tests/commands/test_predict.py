"""`autox3d predict` as a command: what is printed where, and what bad input says."""

import csv
import json

import pytest
import torch

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.data import ClassNames
from pytorchvideo_autox3d.jobs.build import build_card, build_model
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from tests.predict.conftest import write_grey

NAMES = tuple("abcdefgh")


@pytest.fixture(autouse=True)
def _plain_convolutions():
    with depthwise_kernels(False):  # the fast ones take seconds to compile
        yield


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    cfg = load_cfg(config_path("autox3d/demo.yaml"))
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.pyth"
    card = build_card(cfg, classes=ClassNames(NAMES)).to_dict()
    torch.save({"model_state": build_model(cfg).state_dict(), "model_card": card}, path)
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for n in range(3):
        write_grey(folder / f"{n}.mp4", [60 * n + level for level in range(20)])
    (folder / "broken.mp4").write_bytes(b"none")
    return folder


def predict(checkpoint, *arguments):
    return cli.main(["predict", "--model", str(checkpoint), "--workers", "0", *map(str, arguments)])


def test_json_is_all_there_is_on_standard_output(checkpoint, videos, capsys):
    assert predict(checkpoint, videos, "--json", "--views", "3x1", "--top", 2) == 0
    output = capsys.readouterr()
    records = [json.loads(line) for line in output.out.splitlines()]
    assert [record["video"] for record in records] == [str(videos / f"{n}.mp4") for n in range(3)]
    for record in records:
        assert [len(pair) for pair in record["top"]] == [2, 2]
        assert record["top"][0][0] in NAMES
        assert record["top"][0][1] >= record["top"][1][1]
        assert len(record["clips"]) == 3
    assert output.err.count("skipped: ") == 1
    assert "broken.mp4" in output.err


def test_a_table_for_people(checkpoint, videos, capsys):
    assert predict(checkpoint, videos / "0.mp4", "--views", "3x1") == 0
    assert "0.0 to" in capsys.readouterr().out


def test_an_output_file_goes_on_after_an_interruption(checkpoint, videos, tmp_path, capsys, monkeypatch):
    from pytorchvideo_autox3d.predict import Recognizer

    real = Recognizer.logits
    calls = []

    def interrupted(self, clip):
        calls.append(clip)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, clip)

    arguments = (checkpoint, videos, "--output", tmp_path / "out.csv", "--views", "1", "--batch-size", "1", "--csv")
    monkeypatch.setattr(Recognizer, "logits", interrupted)
    assert predict(*arguments) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv.partial"]
    capsys.readouterr()
    assert predict(*arguments) == 0
    assert len(calls) == 2 + 2  # the first video is not scored again
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["video"].rpartition("/")[2] for row in rows] == ["0.mp4", "1.mp4", "2.mp4", "broken.mp4"]
    assert "not a readable video" in rows[3]["error"]
    assert [row["video"] for row in csv.DictReader(capsys.readouterr().out.splitlines())] == [
        row["video"] for row in rows[:3]
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["broken.mp4"], "broken.mp4: not a readable video"),
        (["broken.mp4", "missing.mp4"], "none of the 2 videos"),
        (["0.mp4", "broken.mp4", "--bad-videos", "error"], "broken.mp4: not a readable video"),
        (["*.gif"], "holds no videos"),
        (["0.mp4", "--stride", "1"], "--stride is of segments: give --segments too"),
        (["0.mp4", "--min-seconds", "1"], "--min-seconds is of segments"),
        (["0.mp4", "--segments", "--min-seconds", "nan"], "min_seconds: nan"),
        (["0.mp4", "--segments", "--stride", "inf"], "stride: inf seconds"),
        (["0.mp4", "--model", "net.mlpackage"], "net.mlpackage: coreml can't be run on this machine"),
        (["0.mp4", "--views", "4x4"], "views"),
        (["0.mp4", "--device", "abacus"], "device abacus: can't be used here"),
        (["0.mp4", "--model", "missing.pyth"], "missing.pyth: no such checkpoint"),
        (["0.mp4", "--model", "autox3d_s"], "no weights"),
        (["0.mp4", "--model", "nothing"], "nothing: no such package"),
        (["0.mp4", "--model", "demo", "--classes", "classes.json"], "--classes is for a checkpoint"),
        (["0.mp4", "--model", "net.onnx", "--cfg", "a.yaml"], "--cfg is for a checkpoint"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(checkpoint, videos, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(videos)
    assert predict(checkpoint, *arguments) == 1
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_nothing_that_is_read_is_written_over(checkpoint, tmp_path, capsys):
    video = write_grey(tmp_path / "0.mp4", range(20))
    (tmp_path / "list.csv").write_text("0.mp4\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    listed = [tmp_path / "list.csv", "--prefix", tmp_path]
    for arguments, words in (
        ([video, "--annotate", tmp_path], "--annotate: "),
        ([video, "--output", video], "--output: "),
        ([*listed, "--output", tmp_path / "list.csv"], "list.csv would replace"),
        ([*listed, "--output", tmp_path], "is a folder"),
    ):
        assert predict(checkpoint, *arguments) == 1
        assert words in capsys.readouterr().err.splitlines()[-1]
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert cli.main(["gradcam", "--model", str(checkpoint), str(video), "--output", str(tmp_path)]) == 1
    assert "--output: " in capsys.readouterr().err.splitlines()[-1]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_other_weights_under_the_same_name_start_anew(checkpoint, videos, tmp_path, capsys):
    model, output = tmp_path / "model.pyth", tmp_path / "out.csv"
    content = torch.load(checkpoint, weights_only=True)
    torch.save(content, model)
    broken = ["broken.mp4", "--bad-videos", "error"]
    arguments = [videos / "0.mp4", *(videos / broken[0], *broken[1:]), "--output", output, "--batch-size", "1"]
    assert predict(model, *arguments) == 1
    assert (tmp_path / "out.csv.partial").exists()
    torch.save({**content, "epoch": 1}, model)
    assert predict(model, *arguments) == 1
    assert "out.csv.partial: was begun with another model file" in capsys.readouterr().err.splitlines()[-1]


def test_segments_with_picture_and_film(checkpoint, videos, tmp_path, capsys):
    command = ["--segments", "--timeline", tmp_path / "pictures", "--annotate", tmp_path / "films", "--json"]
    assert predict(checkpoint, videos, *command) == 0
    output = capsys.readouterr()
    records = [json.loads(line) for line in output.out.splitlines()]
    assert [record["segments"][0]["start"] for record in records] == [0.0] * 3
    assert [record["segments"][-1]["end"] for record in records] == [2.0] * 3
    assert sorted(path.name for path in tmp_path.glob("*/*")) == sorted(
        f"{n}.{suffix}" for n in range(3) for suffix in ("mp4", "png")
    )
    assert "broken.mp4" in output.err
    assert predict(checkpoint, videos / "0.mp4", "--segments", "--csv") == 0
    assert capsys.readouterr().out.startswith("video,start,end,label,score,error\n")
    assert predict(checkpoint, videos / "0.mp4", "--timeline", tmp_path) == 1
