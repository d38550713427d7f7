import numpy as np
import pytest

from pytorchvideo_autox3d.benchmarks import nas
from pytorchvideo_autox3d.cli import main
from pytorchvideo_autox3d.nasbench.table import Table, write_table
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
    assert main(["bench", "nas", "--table", str(table), "--budget", "0"]) == 1
    assert "48 of 48 trainings are in the table, too few within the budget" in capsys.readouterr().err
    for wrong in (["--budget", "1.5"], ["--repeats", "0"]):
        assert main(["bench", "nas", "--table", str(table), *wrong]) == 1
        assert "budget" in capsys.readouterr().err
    assert main(["bench", "nas", "--table", str(table), "--methods", "parsec"]) == 1
    assert "'parsec' trains a supernet, and there is none" in capsys.readouterr().err
    assert main(["bench", "nas", "--table", str(table.with_name("absent.npz"))]) == 1
    assert "no such table" in capsys.readouterr().err
