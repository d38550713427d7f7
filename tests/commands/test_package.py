"""`autox3d package`, and what can be done with what it wrote."""

import json

import pytest
import torch

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from tests.models.test_package import tiny_card
from tests.predict.conftest import write_grey


@pytest.fixture(autouse=True)
def _plain_convolutions():
    with depthwise_kernels(False):
        yield


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    card = tiny_card(num_clips=1, num_crops=1)
    torch.save({"model_state": card.build().state_dict(), "model_card": card.to_dict()}, tmp_path / "m.pyth")
    return tmp_path / "m.pyth"


def test_a_package_measured_and_used(checkpoint, tmp_path, capsys):
    for n in range(3):
        write_grey(tmp_path / f"{n}.mp4", [60 * n] * 12)
    (tmp_path / "test.csv").write_text("0.mp4 a\n1.mp4 c\n2.mp4 b\n")
    folder = tmp_path / "given"
    options = ["--test", str(tmp_path / "test.csv"), "--prefix", str(tmp_path), "--license", "MIT"]
    assert cli.main(["package", "--model", str(checkpoint), "--output", str(folder), *options]) == 0
    card = json.loads((folder / "config.json").read_text())
    assert card["release"]["license"] == "MIT"
    assert card["release"]["name"] == "given"
    measured = card["release"]["measured"]
    assert measured["videos"] == 3
    assert measured["parameters"] == sum(one.numel() for one in tiny_card().build().parameters())
    capsys.readouterr()
    videos = [str(tmp_path / f"{n}.mp4") for n in range(3)]
    assert cli.main(["predict", "--model", str(folder), "--json", *videos]) == 0
    said = [json.loads(line)["top"][0][0] for line in capsys.readouterr().out.splitlines()]
    right = sum(a == b for a, b in zip(said, "acb", strict=True))
    assert measured["top1_acc"] == round(100 * right / 3, 2)


def test_a_folder_of_something_else_is_refused_before_anything_is_measured(checkpoint, tmp_path, capsys, monkeypatch):
    from pytorchvideo_autox3d.predict import measure

    monkeypatch.setattr(measure, "cost", lambda recognizer: pytest.fail("measured"))
    assert cli.main(["package", "--model", str(checkpoint), "--output", str(tmp_path)]) == 1
    assert "holds something else than a package" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["m.pyth"]


@pytest.mark.parametrize(
    ("lines", "words"), [("0.mp4\n", "no labels"), ("0.mp4 d\n", "'d'"), ("0.mp4 3\n", "label 3 is out of range")]
)
def test_a_list_of_other_classes_writes_nothing(checkpoint, tmp_path, capsys, lines, words):
    (tmp_path / "test.csv").write_text(lines)
    command = [
        "package",
        "--model",
        str(checkpoint),
        "--output",
        str(tmp_path / "p"),
        "--test",
        str(tmp_path / "test.csv"),
    ]
    assert cli.main(command) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "p").exists()
