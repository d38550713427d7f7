"""`complexity`, `draw` and `bench`: the commands around functions that have tests of their own."""

import dataclasses
import json

import pytest

from pytorchvideo_autox3d import cli
from pytorchvideo_autox3d.models import reference_architecture
from pytorchvideo_autox3d.space import Architecture, load_space


def test_complexity_prints_the_reference_figures(capsys):
    assert cli.main(["complexity", "S", "--clip", "13x160", "13x182"]) == 0
    printed = capsys.readouterr().out
    assert "13 x 160^2" in printed
    assert "13 x 182^2" in printed
    assert "multiply-adds of convolutions, linear layers and matrix" in printed


def test_an_architecture_file_is_the_same_as_its_name(tmp_path, capsys):
    reference_architecture("S").to_json(tmp_path / "a.json")
    assert cli.main(["complexity", "S"]) == 0
    by_name = capsys.readouterr().out
    assert cli.main(["complexity", str(tmp_path / "a.json")]) == 0
    assert capsys.readouterr().out == by_name


@pytest.mark.parametrize("command", ["complexity", "draw"])
def test_a_missing_architecture_is_one_line(command, capsys):
    assert cli.main([command, "none.json"]) == 1
    assert capsys.readouterr().err == "error: no architecture file 'none.json'\n"


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_draw(tmp_path, name, start):
    assert cli.main(["draw", "S", "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_bytes().startswith(start)


def test_bench_writes_what_it_prints(tmp_path, capsys):
    assert cli.main(["bench", "cost", "--count", "1000", "--json", str(tmp_path / "a.json")]) == 0
    assert "1,000" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())


@pytest.mark.parametrize("command", ["complexity", "draw"])
def test_an_unknown_attention_of_a_file_is_one_line(command, tmp_path, capsys):
    space = load_space("table2")
    groups = tuple(dataclasses.replace(group, attentions=("none", "glor")) for group in space.groups)
    wrong = dataclasses.replace(space, name="mine", groups=groups)
    Architecture.from_indices(wrong, [0] * len(wrong.decisions)).to_json(tmp_path / "a.json")
    assert cli.main([command, str(tmp_path / "a.json")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path}/a.json: space: group 1: attentions: no attention named 'glor'; ")
    assert error.count("\n") == 1
