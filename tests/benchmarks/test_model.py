"""`autox3d bench model`: what it reports, not how fast."""

import json

import pytest

from pytorchvideo_autox3d.analysis import complexity
from pytorchvideo_autox3d.benchmarks import model
from pytorchvideo_autox3d.errors import ModelError
from pytorchvideo_autox3d.models import reference_architecture
from pytorchvideo_autox3d.models.hub import HUB


def test_report(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    rows = model.run(["autox3d_s", "X3D"], [(2, 32, 32), (3, 40, 32)], warm_up=1, repeats=2)
    assert json.loads(json.dumps(rows)) == rows
    assert [(row["model"], row["clip"]) for row in rows] == [
        ("autox3d_s", [2, 32, 32]),
        ("autox3d_s", [3, 40, 32]),
        ("X3D", [2, 32, 32]),
        ("X3D", [3, 40, 32]),
    ]
    assert rows[0]["macs"] == complexity(reference_architecture("S"), clip=(2, 32, 32)).macs
    assert all(row["latency_ms"] > 0 and row["peak_memory_bytes"] > 0 for row in rows)
    model.print_table(rows)
    out = capsys.readouterr().out
    assert "3 x 40 x 32" in out
    assert "multiply-adds" in out


def test_networks_of_other_channels_run():
    (row,) = model.run(["i3d_two_stream"], [(2, 32, 32)], warm_up=0, repeats=1)
    assert row["params"] == HUB["i3d_two_stream"].params


@pytest.mark.parametrize(
    ("models", "device", "message"), [(["resnet"], "cpu", "no model 'resnet'"), (["x3d_s"], "tpu", "device 'tpu'")]
)
def test_bad_arguments(models, device, message):
    with pytest.raises(ModelError, match=message) as caught:
        model.run(models, device=device)
    assert "\n" not in str(caught.value)
