"""`autox3d bench step`: what it reports, not how fast."""

import json

import pytest
import torch
from torch import nn

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.benchmarks import step
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.kernels import batch_norm
from pytorchvideo_autox3d.layers.mbconv import MBConv3D


class Tiny(nn.Module):
    """A block between two convolutions: 2 x 4 x 4 pixels of 8 channels, 16 inside."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(3, 8, 1, bias=False)
        self.block = MBConv3D(8, 8, inner_channels=16, se_ratio=0.0)
        self.head = nn.Linear(8, 5)

    def forward(self, clip_BCTHW):
        return self.head(self.block(self.stem(clip_BCTHW)).mean((2, 3, 4)))


class Plain(nn.Module):
    """The like from torch's layers alone, as other packages' networks are."""

    def __init__(self):
        super().__init__()
        layers = nn.Conv3d(3, 8, 1), nn.BatchNorm3d(8), nn.ReLU(), nn.Conv3d(8, 8, 3, padding=1, groups=8)
        self.layers, self.head = nn.Sequential(*layers), nn.Linear(8, 5)

    def forward(self, clip_BCTHW):
        return self.head(self.layers(clip_BCTHW).mean((2, 3, 4)))


NETWORKS = {"tiny": Tiny, "plain": Plain}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    build = step.build_model
    monkeypatch.setattr(
        step, "build_model", lambda name: (NETWORKS[name](), (2, 4, 4)) if name in NETWORKS else build(name)
    )
    monkeypatch.setattr(step, "copy_rate", lambda device: 1e9)
    monkeypatch.setattr(step, "multiply_add_rate", lambda device: 1e9)
    monkeypatch.setitem(batch_norm._LEAST_NUMBERS, "cpu", 1)


def test_report(capsys):
    result = step.run(["tiny"], batch=3, repeats=1)
    (row,) = json.loads(json.dumps(result))["rows"]
    assert (row["model"], row["batch"]) == ("tiny", 3)
    kinds = {"as it comes", "channels_last_3d", "kernels", "kernels, recomputing"}
    for key in ("milliseconds", "processor_milliseconds", "peak_bytes", "share_of_limit", "gain", "memory_ratio"):
        assert set(row[key]) == kinds
    assert row["gain"]["kernels"] == row["memory_ratio"]["kernels"] == 1
    assert row["share_of_limit"]["kernels"] == row["limit_milliseconds"] / row["milliseconds"]["kernels"]
    step.print_table(result)
    assert "tiny, 3 clips" in capsys.readouterr().out


def test_limit_by_hand():
    pixels = 2 * 4 * 4
    macs = pixels * (3 * 8 + 8 * 16 + 16 * 27 + 16 * 8) + 8 * 5
    outputs = pixels * (8 + 2 * 16 + 2 * 16 + 2 * 8)  # the stem's convolution, then convolution and norm
    (row,) = step.run(["tiny"], batch=3, repeats=1)["rows"]
    assert row["limit_milliseconds"] == pytest.approx(1e3 * 3 * (3 * macs + 4 * 4 * outputs) / 1e9)


@pytest.mark.parametrize("network", NETWORKS)
def test_profile_names_the_kernels(network, capsys):
    result = step.run([network], batch=1, repeats=1, profiled=True)
    found = result["rows"][0]["profile"]
    for operator in ("autox3d::depthwise_conv3d_weight_gradient", "autox3d::batch_norm_act_backward"):
        assert found["kernels"][operator] > 0
        assert operator not in found["channels_last_3d"]
        assert operator not in found["as it comes"]
    step.print_table(result)
    assert "batch_norm_act_backward" in capsys.readouterr().out


def test_kernels_keep_less():
    (row,) = step.run(["tiny"], batch=32, repeats=1)["rows"]
    assert row["memory_ratio"]["channels_last_3d"] < 1 < row["memory_ratio"]["kernels, recomputing"]


def test_compiled_is_a_candidate(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda model: calls.append(model) or model)
    (row,) = step.run(["tiny"], batch=1, repeats=1, compiled=True)["rows"]
    assert len(calls) == 1
    assert "torch.compile" in row["milliseconds"]


def test_unknown_model_is_said_before_any_is_timed(monkeypatch):
    monkeypatch.setattr(step, "_row", lambda *_: pytest.fail("timed"))
    with pytest.raises(ModelError, match="no model 'x'"):
        step.run(["tiny", "x"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", "0"], "--batch is 0, expected 1 or more"),
        (["--batch", "-3"], "--batch is -3, expected 1 or more"),
        (["--json", "{}"], "--json: {} is a folder, expected a file"),
        (["--json", "{}/file/b.json"], "--json: can't write {0}/file/b.json: {0}/file is no folder"),
    ],
)
def test_wrong_options_are_one_line_before_any_is_timed(options, message, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(step, "_row", lambda *_: pytest.fail("timed"))
    (tmp_path / "file").touch()
    given = [text.format(tmp_path) for text in options]
    assert cli.main(["bench", "step", "--models", "tiny", *given]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message.format(tmp_path) in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
