"""The tables' scripts without their trainings: sweeps over views by hand, equal cost, and what is printed."""

import numpy as np
import pytest

from pytorchvideo_autox3d.config import load_cfg
from pytorchvideo_autox3d.errors import ConfigError


@pytest.fixture(scope="module")
def tables(load_script):
    load_script("models_table")
    load_script("view_scores")
    return load_script("paper_tables")


@pytest.fixture(scope="module")
def views(tables, load_script):
    return load_script("view_scores")


def test_a_sweep_by_hand(views):
    # One video of class 0 in four clips of three crops; only the last clip, and the right crops, say class 1.
    score = np.zeros((1, 4, 3, 2), dtype=np.float32)
    score[..., 0] = 0.6
    score[:, 3] = [0.0, 1.0]
    score[:, :, 2] = [0.0, 1.0]
    rows = {(one.clips, one.crops): one.top1 for one in views.sweep(score, np.array([0]))}
    assert set(rows) == {(clips, crops) for clips in (1, 2, 3, 4) for crops in (1, 3)}
    # Centre crop: one clip is number 2, two are 1 and 3 (0.6 against 1.0), four are all (1.8 against 1.0).
    assert [rows[clips, 1] for clips in (1, 2, 4)] == [100.0, 0.0, 100.0]
    # All crops of clip 2: 1.2 against 1.0; of all four: 3.6 against 6.0.
    assert [rows[1, 3], rows[4, 3]] == [100.0, 0.0]


def test_equal_cost_and_what_is_printed(tables, views):
    system = tables.rows_of(5, ["mfnet"])[0]
    sweep = [views.Sweep(1, 1, 10.0), views.Sweep(3, 1, 30.0), views.Sweep(1, 3, 20.0), views.Sweep(3, 3, 40.0)]
    one = tables.Result(system, gflops=2.0, params=8.0, views=9, sweep=sweep)
    assert one.top1 == 40.0
    assert one.within(6.0).top1 == 30.0
    assert one.within(18.0).top1 == 40.0
    assert one.within(1.0) is None
    printed = tables.text([one], 6.0)
    assert "| MF-Net | 72.8 | 11.1 x 50 | 8 | 40.0 | 2 x 9 | 8.00 | 30.0 (3 views) |" in printed
    assert one.to_dict()["system"]["name"] == "MF-Net"


def test_the_rows_are_the_papers(tables):
    # Table 5 has 23 rows, of which one is I3D's two-stream again, from scratch; Table 6 has 14, two of them not built.
    assert len(tables.rows_of(5, None)) == 23 - 1
    assert len(tables.rows_of(6, None)) == 14 - 2
    with pytest.raises(ConfigError, match="--systems: c3d is not in table 5"):
        tables.rows_of(5, ["c3d"])


def test_every_row_has_a_config(tables):
    for table in (5, 6):
        for system in tables.rows_of(table, None):
            for name in tables._configs_of(system.hub):
                assert load_cfg(name).MODEL.MODEL_NAME
