"""`autox3d export`: from a package, a checkpoint or a name to a file, and the errors in between."""

import json

import pytest

from pytorchvideo_autox3d.cli import main


def export(*arguments):
    return main(["export", *map(str, arguments)])


def test_the_demos_package(tmp_path, capsys):
    output, report = tmp_path / "demo.pt2", tmp_path / "report.json"
    code = export(
        "--model", "demo", "--format", "torch_export", "--output", output, "--clip", "2x32", "--threads", 1,
        "--json", report,
    )  # fmt: skip
    assert code == 0
    assert "max difference from eager" in capsys.readouterr().out
    written = json.loads(report.read_text())
    assert written["clip"] == [1, 3, 2, 32, 32]
    assert written["max_difference"] <= 1e-4
    assert output.stat().st_size == written["bytes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "x3d_s", "--format", "caffe"], "format 'caffe' is not one of"),
        (["--model", "nothing", "--format", "torch_export"], "nothing"),
        (["--model", "x3d_s", "--format", "torch_export", "--clip", "13"], "--clip: '13'"),
        (["--model", "x3d_s", "--format", "torch_export", "--batch", "0"], "--batch is 0"),
        (["--model", "x3d_s", "--format", "torch_export", "--videos", "a.mp4"], "fresh weights"),
        (["--model", "C2D", "--format", "torch_export", "--test", "a.csv"], "--test: C2D has fresh weights"),
        (["--model", "demo", "--format", "torch_export", "--test", "a.csv"], "a.csv: no such list of videos"),
        (["--model", "demo", "--format", "torch_export", "--videos", "a.mp4"], "a.mp4: no such file"),
        (["--model", "demo", "--format", "torch_export", "--clip", "2x32", "--videos", "a.mp4"], "--clip asks for"),
        (["--model", "demo", "--format", "torch_export", "--classes", "c.json"], "--classes is for a checkpoint"),
        (["--model", "net.onnx", "--format", "torch_export"], "--model net.onnx: is exported already"),
        (["--model", "gone.pyth", "--format", "torch_export"], "gone.pyth"),
    ],
)
def test_errors_are_one_line(tmp_path, capsys, arguments, message):
    assert export(*arguments, "--output", tmp_path / "net") == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert list(tmp_path.iterdir()) == []
