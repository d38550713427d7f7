"""Tables of milliseconds: there and back, and every way in which a file is not one."""

from dataclasses import replace

import numpy as np
import pytest
import simplejson

from pytorchvideo_autox3d.analysis import AdditiveCost, LatencyTable
from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.space import GroupSpec, HeadSpec, SearchSpace, StemSpec, load_space


@pytest.fixture
def table() -> LatencyTable:
    groups = (
        GroupSpec((4, 8), ((1, 3),), (1.5, 3.0), ("none",), blocks=1, stride=2),
        GroupSpec((8,), ((3, 3), (1, 3)), (1.5,), ("none", "glore"), blocks=1),
    )
    draw = np.random.default_rng(0)
    cost = AdditiveCost(0.5, (draw.random((1, 1, 2, 2, 1)), draw.random((2, 2, 1, 1, 2))), draw.random(1))
    space = SearchSpace("toy", groups, StemSpec(4), HeadSpec(8, 8))
    return LatencyTable(space, (2, 8, 8), 1, "eager", 2, "a machine", cost)


def test_there_and_back(table, tmp_path):
    path = tmp_path / "latency.json"
    table.to_json(path)
    again = LatencyTable.from_json(path)
    rows = [[0, 1, 1, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0]]
    assert again.cost.total(rows).tolist() == table.cost.total(rows).tolist()
    assert replace(again, cost=table.cost, source=table.source) == table
    again.check(table.space, (2, 8, 8), machine="a machine")
    again.check(table.space, (2, 8, 8), machine="a machine", backend="eager", threads=2)


def test_another_space_or_clip_is_named(table):
    with pytest.raises(SpaceError, match=r"the latency table: was measured at clips of 2x8x8, not 13x160x160"):
        table.check(table.space, (13, 160, 160), machine="a machine")
    with pytest.raises(SpaceError, match=r"was measured over space 'toy', not 'table2'"):
        table.check(load_space("table2"), (2, 8, 8), machine="a machine")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"machine": "board"}, "machine 'a machine', meant is 'board'"),
        ({"backend": "onnx"}, "backend 'eager', meant is 'onnx'"),
        ({"threads": 4}, "threads 2, meant is 4"),
    ],
)
def test_what_it_is_not_meant_for_is_named(table, change, message):
    with pytest.raises(SpaceError, match=f"the latency table: was measured with {message}"):
        table.check(table.space, table.clip, **{"machine": "a machine", **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": [2, 8]}, r"clip: \[2, 8\] is not \[T, H, W\]"),
        ({"head": [1.0, 2.0]}, r"head: numbers in the shape \[2\], expected \[1\]"),
        ({"groups": []}, r"groups: expected a list of 2"),
        ({"groups": [[1.0], [2.0]]}, r"groups: group 1: numbers in the shape \[1\], expected \[1, 1, 2, 2, 1\]"),
        ({"fixed": -1.0}, r"fixed: a time that is not 0 or more milliseconds"),
        ({"fixed": "fast"}, r"fixed: not numbers"),
        ({"space": "table9"}, r"no space and no yaml file named 'table9'"),
        ({"speed": 3}, r"unknown key 'speed'"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_key(table, tmp_path, change, message):
    path = tmp_path / "latency.json"
    table.to_json(path)
    path.write_text(simplejson.dumps(simplejson.loads(path.read_text()) | change))
    with pytest.raises(SpaceError, match=f"{path}: .*{message}") as caught:
        LatencyTable.from_json(path)
    assert "\n" not in str(caught.value)


def test_no_file_and_no_json(tmp_path):
    with pytest.raises(SpaceError, match="no latency table"):
        LatencyTable.from_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(SpaceError, match=r"bad.json: not JSON"):
        LatencyTable.from_json(tmp_path / "bad.json")
