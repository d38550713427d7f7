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
