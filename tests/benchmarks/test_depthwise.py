"""`autox3d bench depthwise`: what it reports, not how fast."""

import json

import pytest

from pytorchvideo_autox3d.benchmarks import depthwise
from pytorchvideo_autox3d.benchmarks.depthwise import Shape
from pytorchvideo_autox3d.errors import ModelError


def test_shapes_of_x3d_s():
    shapes = depthwise.shapes_of("x3d_s", 4)
    # X3D (section 3): the bottleneck of stage 2 is 54 wide; its first block halves 80^2.
    assert Shape((4, 54, 13, 80, 80), (3, 3, 3), (1, 2, 2)) in shapes
    assert Shape((4, 54, 13, 40, 40), (3, 3, 3), (1, 1, 1)) in shapes
    assert Shape((4, 432, 13, 5, 5), (3, 3, 3), (1, 1, 1)) in shapes
    assert len(shapes) == len(set(shapes)) == 9
    with pytest.raises(ModelError, match="no model 'resnet'"):
        depthwise.shapes_of("resnet", 1)


def test_work_of_a_shape():
    shape = Shape((2, 8, 3, 5, 6), (3, 5, 5), (1, 2, 2))
    assert shape.output_numel == 2 * 8 * 3 * 3 * 3
    assert shape.multiply_adds == 2 * 8 * 27 * 75
    assert shape.values_moved("forward") == 2 * 8 * (90 + 27)
    assert shape.values_moved("both") == 2 * 8 * (90 + 27) + 2 * 8 * (2 * 90 + 27)


def test_report(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(depthwise, "copy_rate", lambda device: 1e10)
    monkeypatch.setattr(depthwise, "multiply_add_rate", lambda device: 1e11)
    result = depthwise.run(["demo"], [1], repeats=1, most_gigabytes=0.0004)
    assert json.loads(json.dumps(result))["rows"]
    assert result["left_out"]
    assert len(result["rows"]) + len(result["left_out"]) == len(depthwise.shapes_of("demo", 1))
    for row in result["rows"]:
        assert set(row["milliseconds"]) == {"kernels", "torch_channels_last", "torch_contiguous"}
        assert all(row["gain"][which] > 0 and row["share_of_limit"][which] > 0 for which in depthwise.PASSES)
    depthwise.print_table(result)
    assert "multiply-adds/s" in capsys.readouterr().out
