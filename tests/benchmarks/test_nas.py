import shlex
import sys

import numpy as np
import pytest
import simplejson

from pytorchvideo_autox3d.benchmarks import nas
from pytorchvideo_autox3d.cli import main
from pytorchvideo_autox3d.nasbench.table import Table, write_table
from pytorchvideo_autox3d.registry import SEARCH_REGISTRY
from pytorchvideo_autox3d.space import space_from_dict

GROUP = {"kernels": [[1, 3], [3, 3]], "expansions": [1.5, 3.0], "attentions": ["none"], "blocks": 1, "stride": 2}
SPACE = space_from_dict(
    {
        "name": "tiny", "stem": {"channels": 8}, "head": {"channels": 16, "hidden": 16},
        "groups": [{**GROUP, "channels": [8, 16]}, {**GROUP, "channels": [16], "expansions": [1.5]}],
    }
)  # fmt: skip


@pytest.fixture
def table(tmp_path):
    """16 networks whose accuracy is their number, three seeds alike."""
    right = np.broadcast_to(np.arange(16, dtype=np.int16)[:, None, None], (16, 3, 4))
    card = {
        "videos": {"train": 10, "val": 16, "test": 16}, "clip": [4, 16, 16], "num_classes": 4,
        "recipe": {"batch_size": 2},
    }  # fmt: skip
    losses = np.zeros((16, 3, 4), np.float32)
    write_table(
        tmp_path / "t.npz",
        Table(
            SPACE, card, np.arange(3), np.array([1, 2, 4, 8]), right, right, losses, losses,
            np.ones((16, 3), np.float32), 10_000_000 + np.arange(16), np.arange(16), np.ones(16, np.float32),
        ),
    )  # fmt: skip
    return tmp_path / "t.npz"


def test_rows(table):
    result = nas.run(table=str(table), repeats=3, trainings=4)
    assert result["noise_ceiling"] == pytest.approx(1.0)
    assert result["budget_macs"] == 10_000_007
    assert len(result["rows"]) == 3 * len(nas.METHODS)
    for row in result["rows"]:
        assert row["network"] <= 7
        assert row["accuracy"] == 100 * row["network"] / 16
        assert row["regret"] == pytest.approx(100 * (7 - row["network"]) / 16)
        assert row["percentile"] == 100 * (row["network"] + 0.5) / 8
        assert row["trainings"] <= 4
        spent, accuracies = zip(*row["curve"], strict=True)
        assert list(spent) == sorted(spent)
        assert list(accuracies) == sorted(accuracies)  # validation is the truth here
        assert accuracies[-1] == row["accuracy"]
    assert {row["table_seed"] for row in result["rows"]} == {0, 1, 2}


def test_command(table, capsys):
    assert main(["bench", "nas", "--table", str(table), "--repeats", "2"]) == 0
    out = capsys.readouterr().out
    assert out.lstrip().startswith("Noise ceiling")
    assert "successive_halving" in out
    assert main(["bench", "nas", "--table", str(table.with_name("absent.npz"))]) == 1
    assert "no such table" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--budget", "0"],
            "--budget 0 leaves 1 of 16 networks, and no seed has two of them trained (48 of 48",
        ),
        (["--budget", "1.5"], "--budget is 1.5, expected 0 to 1"),
        (["--budget", "nan"], "--budget is nan, expected 0 to 1"),
        (["--repeats", "0"], "--repeats is 0, expected 1 or more"),
        (["--trainings", "nan"], "--trainings is nan, expected a finite number above 0"),
        (["--trainings", "inf"], "--trainings is inf, expected a finite number above 0"),
        (["--trainings", "0"], "--trainings is 0, expected a finite number above 0"),
        (["--trainings", "-1"], "--trainings is -1, expected a finite number above 0"),
        (["--trainings", "0.5"], "method 'random' trained no network: its next training would take it above the limit"),
        (["--table", ""], "'': no such table"),
        (["--imports", "no_such_module"], "--imports: no module named 'no_such_module'"),
    ],
)
def test_wrong_options(table, capsys, options, said):
    assert main(["bench", "nas", "--table", str(table), *options]) == 1
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [("parsec", "'parsec' trains a supernet, and there is none"), ("randm", "did you mean 'random'")],
)
def test_names_are_looked_up_before_anything_runs(monkeypatch, table, capsys, name, said):
    monkeypatch.setattr(nas, "run_method", lambda *args, **options: pytest.fail("a method ran"))
    assert main(["bench", "nas", "--table", str(table), "--methods", "random", name]) == 1
    assert said in capsys.readouterr().err


MODULE = """
from pytorchvideo_autox3d.registry import SEARCH_REGISTRY
from pytorchvideo_autox3d.search.methods import Train


@SEARCH_REGISTRY.register(name="last_first")
def last_first(problem, generator):
    for architecture in reversed(problem.candidates):
        yield Train(architecture, problem.epochs[-1])
"""


def test_a_method_of_a_user_s_module(table, tmp_path, monkeypatch):
    (tmp_path / "my_methods.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    options = ["--imports", "my_methods", "--table", str(table), "--methods", "last_first", "--repeats", "2"]
    try:
        assert main(["bench", "nas", *options, "--json", str(tmp_path / "found.json")]) == 0
    finally:
        SEARCH_REGISTRY._obj_map.pop("last_first", None)
        sys.modules.pop("my_methods", None)
    rows = simplejson.loads((tmp_path / "found.json").read_text())["rows"]
    assert [row["network"] for row in rows] == [7, 7]  # of 0 to 7 the best, and it is the first one trained
    assert {row["command"] for row in rows} == {shlex.join(["autox3d", "bench", "nas", *options])}


def test_the_command_leaves_defaults_out(table):
    rows = nas.run(table=str(table), methods=["random"], trainings=4, repeats=1)["rows"]
    assert rows[0]["command"] == f"autox3d bench nas --table {table} --methods random --trainings 4 --repeats 1"
