"""`autox3d bench cost`: what it reports, not how fast."""

import json

import pytest

from pytorchvideo_autox3d.benchmarks import cost
from pytorchvideo_autox3d.errors import SpaceError


def test_report(capsys):
    result = cost.run(500, repeats=2)
    assert json.loads(json.dumps(result)) == result
    assert result["architectures"] == 500
    assert result["agree"]
    assert 0 < result["gflops"]["0%"] < result["gflops"]["50%"] < result["gflops"]["100%"]
    cost.print_table(result)
    assert "500 of table2 at 13 x 160^2" in capsys.readouterr().out


def test_no_architectures_is_an_error():
    with pytest.raises(SpaceError, match="count must be at least 1"):
        cost.run(0)
