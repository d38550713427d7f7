"""`autox3d calibrate`, and `predict` that honours what it fitted."""

import json

import pytest
import torch

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.export import export_model
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from pytorchvideo_autox3d.models import Release, load_package, write_package
from pytorchvideo_autox3d.models.package import CARD_FILE, find_package
from tests.models.test_package import tiny_card
from tests.predict.conftest import write_grey


@pytest.fixture(autouse=True)
def _plain_convolutions():
    with depthwise_kernels(False):
        yield


@pytest.fixture
def folder(tmp_path):
    """A package, a checkpoint of the same network, and three videos with what the network says of them as labels."""
    torch.manual_seed(0)
    card = tiny_card(num_clips=1, num_crops=1)
    network = card.build()
    write_package(tmp_path / "package", network, card, Release("tiny"))
    torch.save({"model_state": network.state_dict(), "model_card": card.to_dict()}, tmp_path / "m.pyth")
    for n in range(3):
        write_grey(tmp_path / f"{n}.mp4", [60 * n] * 12)
    labels = [record["top"][0][0] for record in predicted(tmp_path, tmp_path / "package")]
    (tmp_path / "val.csv").write_text("".join(f"{n}.mp4 {label}\n" for n, label in enumerate(labels)))
    return tmp_path


def predicted(folder, model):
    output = folder / "predictions.jsonl"
    videos = [str(folder / f"{n}.mp4") for n in range(3)]
    assert cli.main(["predict", "--model", str(model), "--output", str(output), *videos]) == 0
    return [json.loads(line) for line in output.read_text().splitlines()]


def calibrate(folder, model, *more):
    options = ["--list", str(folder / "val.csv"), "--prefix", str(folder), *more]
    return cli.main(["calibrate", "--model", str(model), *options])


@pytest.mark.parametrize("name", ["package", "m.pyth"])
def test_predict_honours_it(folder, name, capsys):
    before = predicted(folder, folder / name)
    assert "rejected" not in before[0]
    assert calibrate(folder, folder / name, "--keep", "0.5") == 0
    said = capsys.readouterr().out
    assert "expected calibration error" in said
    assert "before" in said
    after = predicted(folder, folder / name)
    assert [one["rejected"] for one in after].count(True) in (1, 2)
    assert after[0]["top"][0][1] != before[0]["top"][0][1]
    assert calibrate(folder, folder / name, "--keep", "1") == 0
    assert not any(one["rejected"] for one in predicted(folder, folder / name))


def test_an_exported_file_has_a_calibration_of_its_own(folder, capsys):
    file = folder / "m.onnx"
    network = load_package(folder / "package")
    export_model(network, file, format="onnx", clip=network.card.preprocessing.clip)
    assert "rejected" not in predicted(folder, file)[0]
    assert calibrate(folder, file, "--keep", "0.5") == 0
    assert [one["rejected"] for one in predicted(folder, file)].count(True) in (1, 2)
    file.write_bytes(file.read_bytes() + b"\n")
    assert cli.main(["predict", "--model", str(file), str(folder / "0.mp4")]) == 1
    assert "m.onnx" in capsys.readouterr().err.splitlines()[-1]


def test_a_package_keeps_its_hash_and_other_weights_lose_the_calibration(folder, capsys):
    assert calibrate(folder, folder / "package") == 0
    assert load_package(folder / "package").card.calibration.temperature > 0
    assert calibrate(folder, folder / "m.pyth") == 0
    content = torch.load(folder / "m.pyth", weights_only=True)
    torch.save({**content, "epoch": 3}, folder / "m.pyth")
    assert cli.main(["predict", "--model", str(folder / "m.pyth"), str(folder / "0.mp4")]) == 1
    assert "m.pyth.calibration.json is of another file of weights" in capsys.readouterr().err


def test_a_share_that_is_none(folder, capsys):
    assert calibrate(folder, folder / "m.pyth", "--keep", "1.5") == 1
    assert "--keep" in capsys.readouterr().err


def test_the_librarys_own_package_is_not_changed(folder, capsys):
    card = find_package("demo") / CARD_FILE
    before = card.read_bytes()
    assert calibrate(folder, "demo") == 1
    assert "demo: is shared by all who use it, and not changed: make a package of your own" in capsys.readouterr().err
    assert card.read_bytes() == before
