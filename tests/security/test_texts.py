"""Yaml, JSON and lists made to do harm: each is refused in one line, or read for what it says."""

import argparse
from pathlib import Path

import pytest

from pytorchvideo_autox3d.analysis.latency_table import LatencyTable
from pytorchvideo_autox3d.commands import plot_search
from pytorchvideo_autox3d.config import load_cfg
from pytorchvideo_autox3d.data import read_list
from pytorchvideo_autox3d.engine.score_log import ScoreLog
from pytorchvideo_autox3d.evaluation.fusion import read_scores
from pytorchvideo_autox3d.jobs.run_record import recorded_config
from pytorchvideo_autox3d.models.package import read_package
from pytorchvideo_autox3d.search.result import read_history
from pytorchvideo_autox3d.space import Architecture, load_space
from tests.security.limits import HANDLED, limited

LAUGHS = "\n".join(["a0: &a0 [lol, lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))])
YAML = {
    "a python object": "OUTPUT_DIR: !!python/object/apply:os.system [touch crater]\n",
    "a python name": "OUTPUT_DIR: !!python/name:os.system\n",
    "an unknown tag": "OUTPUT_DIR: !secret x\n",
    "a billion laughs": LAUGHS + "\nSOLVER: {STEPS: *a9}\n",
    "a billion laughs as keys": LAUGHS.replace("[lol, lol]", "{x: lol}").replace("[", "{? ").replace("]", "}"),
    "an alias to itself": "SOLVER: &s {STEPS: [*s]}\n",
    "depth": "SOLVER: " + "[" * 5_000,
    "depth that is closed": "SOLVER: " + "[" * 2_000 + "]" * 2_000,
    "a number of a million digits": "RNG_SEED: " + "9" * 1_000_000,
    "a list as a key": "? [1, 2]\n: 3\n",
    "bytes that are no text": "OUTPUT_DIR: \x00\x01",
    "a date that is none": "OUTPUT_DIR: 2026-99-99\n",
}
JSON = {
    "depth": "[" * 100_000,
    "depth that is closed": "[" * 100_000 + "]" * 100_000,
    "a number of a million digits": '{"space": ' + "9" * 1_000_000 + "}",
    "no object": "[1, 2]",
    "null": "null",
    "not a number": '{"space": NaN}',
    "numbers as space": '{"space": 1e400, "groups": 5}',
    "half of a pair": '{"space": "\\ud800", "groups": []}',
    "no text": b"\xff\xfe\x00",
}
BASES = ("[a.yaml]", "5", "{a: b}", "../../../../../../../etc/passwd", "/dev/null", "config.yaml")


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _recorded_config(path: str) -> None:
    recorded_config(str(Path(path).parent))


@pytest.mark.parametrize("kind", YAML)
@pytest.mark.parametrize("reader", [load_cfg, load_space, _recorded_config])
def test_yaml(tmp_path, monkeypatch, kind, reader):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "config.yaml", YAML[kind])
    assert limited(reader, str(path)) != HANDLED
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("base", BASES)
def test_a_base_that_is_none(tmp_path, base):
    path = written(tmp_path / "config.yaml", f"_BASE_: {base}\n")
    assert limited(load_cfg, str(path)) != HANDLED


def _history(path: str) -> None:
    written(Path(path).with_name("search_history.jsonl"), Path(path).read_bytes())
    read_history(str(Path(path).parent))


def _score_log(path: str) -> None:
    """What a stopped test left is of another test, or damaged: it is scored anew."""
    folder = Path(path).with_name("test_scores")
    folder.mkdir()
    for name in ("about.json", "part_00000.scores"):
        written(folder / name, Path(path).read_bytes())
    ScoreLog(str(folder), {"list": "a"}, num_classes=3, num_views=1).close()


def _package(path: str) -> None:
    written(Path(path).with_name("config.json"), Path(path).read_bytes())
    read_package(Path(path).parent)


@pytest.mark.parametrize("kind", JSON)
@pytest.mark.parametrize("reader", [Architecture.from_json, LatencyTable.from_json, _package, read_scores, _history])
def test_json(tmp_path, kind, reader):
    path = written(tmp_path / "bad.json", JSON[kind])
    found = limited(reader, str(path))
    assert found != HANDLED


@pytest.mark.parametrize("kind", JSON)
def test_scores_of_a_stopped_test_that_are_damaged_count_for_nothing(tmp_path, kind):
    assert limited(_score_log, str(written(tmp_path / "bad.json", JSON[kind]))) == HANDLED


RESULTS = {
    "nothing": {"search_history.jsonl": ""},
    "an epoch that is none": {"search_history.jsonl": '{"epoch": "x"}\n'},
    "a value that is none": {"search_history.jsonl": '{"epoch": 1, "gflops": [1]}\n'},
    "a result that is none": {"search_result.json": '{"derived": 5}'},
    "tables that are none": {"search_result.json": '{"policy": [{"kind": []}], "coverage": 5}'},
    "rows that are none": {"pareto/pareto.json": "[1, 2]"},
}


@pytest.mark.parametrize("kind", RESULTS)
def test_a_search_to_be_drawn(tmp_path, kind):
    written(tmp_path / "search_history.jsonl", '{"epoch": 1, "gflops": 0.1, "entropy": 1.0, "ess": 2.0}\n')
    (tmp_path / "pareto").mkdir()
    for name, content in RESULTS[kind].items():
        written(tmp_path / name, content)
    assert limited(_plot, str(tmp_path)) != HANDLED
    assert not list(tmp_path.glob("*.png"))


def _plot(folder: str) -> None:
    parser = argparse.ArgumentParser()
    plot_search.add_arguments(parser)
    plot_search.run(parser.parse_args([folder]))


LISTS = {
    "a folder above": "../../etc/passwd.mp4 0\n",
    "an absolute path": "/etc/passwd.mp4 0\n",
    "an option": "-rf.mp4 0\n--help.mp4 1\n",
    "a protocol": "http://localhost:1/a.mp4 0\nconcat:a.mp4|b.mp4 0\n",
    "a format string": "{0.__class__}.mp4 0\n%s%n.mp4 0\n",
    "a shell": "$(touch crater).mp4 0\n`touch crater`.mp4 0\n;touch crater;.mp4 0\n",
    "markup": "<script>alert(1)</script>.mp4 0\n",
    "line breaks of other kinds": "a\u2028b.mp4 0\rc.mp4 0\x0bd.mp4 0\n",
    "no text": b"\xff\xfe\xfa.mp4 0\n",
    "a null byte": b"a\x00b.mp4 0\n",
    "one line of ten million": b"a" * 10_000_000,
    "labels out of this world": "a.mp4 99999999999999999999999\n",
    "quotes that do not end": '"a.mp4 0\n' * 10,
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_are_read_for_what_they_say(tmp_path, monkeypatch, kind):
    """A list names files to read. Whatever it names, reading the list opens and makes none."""
    monkeypatch.chdir(tmp_path)
    limited(read_list, str(written(tmp_path / "train.csv", LISTS[kind])))
    assert [entry.name for entry in tmp_path.iterdir()] == ["train.csv"]


def test_a_list_of_a_million_lines(tmp_path):
    path = written(
        tmp_path / "train.csv", "".join(f"videos/{number:07d}.mp4 {number % 400}\n" for number in range(10**6))
    )
    assert limited(read_list, str(path), megabytes=1024, seconds=60) == HANDLED
