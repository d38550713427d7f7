"""Measuring: resumed where it stopped, refused for another setting, and done on a machine without this package."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pytorchvideo_autox3d.analysis import AdditiveCost, LatencyTable
from pytorchvideo_autox3d.cli import main
from pytorchvideo_autox3d.errors import ConfigError, ExportError, SpaceError
from pytorchvideo_autox3d.latency import (
    Measured,
    Setting,
    measure,
    measure_pieces,
    network_milliseconds,
    pieces_of,
    read_measured,
    write_portable,
)
from tests.latency.helpers import CLIP, small_space

SETTING = Setting("small", CLIP, 1, "eager", 1, "a machine")


@pytest.fixture(scope="module")
def pieces():
    return dict(list(pieces_of(small_space(), CLIP).items())[:3])


def test_real_pieces_are_timed_and_kept(pieces, tmp_path):
    found = measure_pieces(pieces, SETTING, tmp_path / "pieces.json", repeats=2)
    assert list(found) == list(pieces)
    assert all(0 < one.fastest <= one.median <= one.slowest for one in found.values())
    assert read_measured(tmp_path / "pieces.json", SETTING) == found
    assert json.loads((tmp_path / "pieces.json").read_text())["setting"]["clip"] == list(CLIP)


def test_an_interrupted_measurement_goes_on(pieces, tmp_path, monkeypatch):
    calls = []

    def timed(pieces, setting, repeats, progress):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.extend(piece.key for piece in pieces)
        return {piece.key: Measured(len(calls), 1, 9) for piece in pieces}

    monkeypatch.setattr(measure, "_TOGETHER", 1)
    monkeypatch.setattr(measure, "_timed", timed)
    path = tmp_path / "pieces.json"
    with pytest.raises(KeyboardInterrupt):
        measure_pieces(pieces, SETTING, path)
    assert list(read_measured(path, SETTING)) == list(pieces)[:2]

    def later(pieces, *_):
        calls.extend(piece.key for piece in pieces)
        return {piece.key: Measured(7, 7, 7) for piece in pieces}

    monkeypatch.setattr(measure, "_timed", later)
    found = measure_pieces(pieces, SETTING, path)
    assert calls == list(pieces)
    assert [one.median for one in found.values()] == [1, 2, 7]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"backend": "onnx"}, "backend 'eager', not 'onnx'"),
        ({"machine": "another"}, "machine 'a machine', not 'another'"),
        ({"clip": (3, 8, 8)}, "clip"),
    ],
)
def test_figures_of_another_setting_are_refused(pieces, tmp_path, changed, message):
    path = tmp_path / "pieces.json"
    measure_pieces(dict([*pieces.items()][:1]), SETTING, path, repeats=1)
    with pytest.raises(SpaceError, match=message):
        read_measured(path, Setting(**{**vars(SETTING), **changed}))


def test_bad_backends_and_files(tmp_path):
    with pytest.raises(ConfigError, match="backend 'tpu' is not one of eager, onnx, openvino, executorch"):
        measure_pieces({}, Setting(**{**vars(SETTING), "backend": "tpu"}), tmp_path / "pieces.json")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(SpaceError, match=r"broken\.json: holds no measured pieces"):
        read_measured(tmp_path / "broken.json", SETTING)


def test_the_script_for_other_machines(pieces, tmp_path):
    folder = tmp_path / "folder"
    two = dict(list(pieces.items())[:2])
    write_portable(two, Setting(**{**vars(SETTING), "backend": "onnx"}), folder)
    command = [sys.executable, "-I", str(folder / "run_blocks.py"), "--machine", "board", "--repeats", "1"]
    subprocess.run(command, check=True, capture_output=True)
    found = read_measured(folder / "measured.json", Setting("small", CLIP, 1, "onnx", 1, "board"))
    assert list(found) == list(two)
    refused = subprocess.run([*command[:-4], "--machine", "other"], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "was measured with" in refused.stderr


def test_a_folder_of_other_pieces_is_refused(pieces, tmp_path):
    setting = Setting(**{**vars(SETTING), "backend": "onnx"})
    one = dict(list(pieces.items())[:1])
    write_portable(one, setting, tmp_path)
    (tmp_path / "00000.onnx").write_bytes(b"kept")
    write_portable(one, Setting(**{**vars(setting), "threads": 7, "machine": "another"}), tmp_path)
    assert (tmp_path / "00000.onnx").read_bytes() == b"kept"
    before = (tmp_path / "pieces.json").read_text()
    with pytest.raises(SpaceError, match=r"pieces\.json: was begun with another clip: name another folder"):
        write_portable(one, Setting(**{**vars(setting), "clip": (5, 16, 16)}), tmp_path)
    with pytest.raises(SpaceError, match="another files"):
        write_portable(dict(list(pieces.items())[1:2]), setting, tmp_path)
    assert (tmp_path / "pieces.json").read_text() == before
    (tmp_path / "pieces.json").write_text("{}")
    with pytest.raises(SpaceError, match=r"pieces\.json: lists no pieces"):
        write_portable(one, setting, tmp_path)


def test_files_of_an_unknown_folder_are_made_anew(pieces, tmp_path):
    (tmp_path / "00000.onnx").write_bytes(b"of something else")
    write_portable(dict(list(pieces.items())[:1]), Setting(**{**vars(SETTING), "backend": "onnx"}), tmp_path)
    assert len((tmp_path / "00000.onnx").read_bytes()) > 200


@pytest.mark.parametrize(
    ("prepare", "arguments", "words"),
    [
        (lambda folder: (folder / "00000.onnx").unlink(), [], "1 of 1 files are missing: 00000.onnx"),
        (lambda folder: (folder / "pieces.json").write_text("{"), [], "pieces.json: can't be read"),
        (lambda folder: (folder / "measured.json").write_text("[]"), [], "measured.json: can't be read"),
        (
            lambda folder: (folder / "numpy.py").write_text("raise ImportError('none')"),
            [],
            "needs numpy and onnxruntime",
        ),
        (lambda folder: None, ["--repeats", "0"], "'0' is no whole number from 1 up"),
    ],
)
def test_the_scripts_errors_are_one_line(pieces, tmp_path, prepare, arguments, words):
    write_portable(dict(list(pieces.items())[:1]), Setting(**{**vars(SETTING), "backend": "onnx"}), tmp_path)
    prepare(tmp_path)
    found = subprocess.run(
        [sys.executable, str(tmp_path / "run_blocks.py"), *arguments], capture_output=True, text=True, check=False
    )
    assert found.returncode in (1, 2)
    assert words in found.stderr.splitlines()[-1]
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "none.yaml"], "none.yaml"),
        (["--clip", "13"], "--clip: '13'"),
        (["--backend", "tpu", "--clip", "2x8"], "backend 'tpu' is not one of"),
        (["--measured", "a.json", "--export-blocks", "b"], "give one of them"),
        (["--measured", "gone.json", "--clip", "2x8"], "gone.json"),
        (["--machine", "board"], "--machine names where --measured was measured"),
    ],
)
def test_errors_are_one_line(tmp_path, capsys, arguments, message):
    assert main(["measure-latency", "--output", str(tmp_path / "table.json"), *arguments]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_a_whole_network_is_measured_as_the_table_was(monkeypatch):
    """In its batch, in eval, by the table's backend with its threads, which are put back."""
    space = small_space()
    groups = tuple(np.ones((1, 1, 1, 1, 1)) for _ in space.groups)
    table = LatencyTable(space, CLIP, 3, "eager", 2, "a machine", AdditiveCost(0.0, groups, np.ones(1)))

    class Seen(nn.Module):
        runs: list = []

        def forward(self, clip_BCTHW):
            self.runs.append((tuple(clip_BCTHW.shape), torch.get_num_threads(), self.training))
            return clip_BCTHW

    before = torch.get_num_threads()
    assert network_milliseconds(Seen(), table, repeats=2) > 0
    assert Seen.runs[-4:] == [((3, 3, *CLIP), 2, False)] * 4
    assert torch.get_num_threads() == before
    missing = replace(table, backend="executorch")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match="executorch"):
        network_milliseconds(Seen(), missing)
