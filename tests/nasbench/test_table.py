import itertools

import numpy as np
import pytest

from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.nasbench import table as module
from pytorchvideo_autox3d.nasbench.table import Table, all_architectures, read_table, write_table


def test_what_is_written_is_read(tmp_path, table, space):
    write_table(tmp_path / "one.npz", table)
    write_table(tmp_path / "two.npz", table)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    read = read_table(tmp_path / "one.npz")
    assert isinstance(read, Table)
    assert read.space == space
    assert read.card == table.card
    np.testing.assert_array_equal(read.test_right_NSE, table.test_right_NSE)
    np.testing.assert_array_equal(read.milliseconds_N, table.milliseconds_N)


def test_every_network_once_last_decision_fastest(space):
    networks = all_architectures(space)
    assert len(set(networks)) == len(networks) == space.size == 16
    expected = itertools.product([(1, 3), (3, 3)], [8, 16], [1.5, 3.0], ["none", "glore"])
    seen = [(a.groups[0].kernel, a.groups[0].channels, a.groups[0].expansion, a.groups[1].attention) for a in networks]
    assert seen == list(expected)


def test_missing_trainings(make_table):
    right = make_table().test_right_NSE.copy()
    right[4, 2] = -1
    trained = make_table(test_right_NSE=right).trained_NS
    assert not trained[4, 2]
    assert trained.sum() == 47


def test_another_version(tmp_path, table, monkeypatch):
    monkeypatch.setattr(module, "VERSION", 7)
    write_table(tmp_path / "t.npz", table)
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"t.npz: a table of version 7; this release reads version 1"):
        read_table(tmp_path / "t.npz")


def test_broken_files(tmp_path, table):
    with pytest.raises(DataError, match="no such table"):
        read_table(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("not a table")
    with pytest.raises(DataError, match=r"text.npz: not a table"):
        read_table(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", a=np.arange(3))
    with pytest.raises(DataError, match="without a version"):
        read_table(tmp_path / "other.npz")
    np.savez(tmp_path / "part.npz", version=np.array(1), space=np.array("{}"))
    with pytest.raises(DataError, match="lacks seeds"):
        read_table(tmp_path / "part.npz")
    write_table(tmp_path / "whole.npz", table)
    cut = (tmp_path / "whole.npz").read_bytes()[:400]
    (tmp_path / "cut.npz").write_bytes(cut)
    with pytest.raises(DataError, match=r"cut.npz: not a table"):
        read_table(tmp_path / "cut.npz")
