"""`autox3d bench deploy`: what it reports and how it judges its aims, not how fast anything is."""

import importlib.util
import json

import pytest

from pytorchvideo_autox3d.benchmarks import deploy
from pytorchvideo_autox3d.errors import ModelError


def test_report(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    roads = ["pytorchvideo", "pytorchvideo transmute_model", "ours fused", "litert"]
    result = deploy.run(["x3d_s"], (2, 64, 64), roads=roads, warm_up=0, repeats=1, threads=1)
    assert json.loads(json.dumps(result)) == result
    rows = {row["road"]: row for row in result["rows"]}
    assert list(rows) == roads
    assert "pip install 'pytorchvideo_autox3d[litert]'" in rows["litert"]["not_run"]
    for road in roads[:3]:
        row = rows[road]
        assert row["max_difference"] < 1e-4
        assert row["milliseconds"] > 0
        # By hand: two operations a multiply-add, over the milliseconds, over the product's rate.
        rate = 2 * row["macs"] / (row["milliseconds"] * 1e-3) / 1e9
        assert row["share"] == pytest.approx(rate / result["matrix_product_gflops"])
    deploy.print_table(result)
    out = capsys.readouterr().out
    assert "ours fused" in out
    assert "not run: x3d_s, litert: format litert needs" in out


def row(model, road, milliseconds, share=0.5, macs=100):
    return {"model": model, "road": road, "milliseconds": milliseconds, "share": share, "macs": macs}


def test_the_aims_are_judged_on_the_best_roads():
    rows = [
        row("x3d_s", "pytorchvideo", 100.0, share=0.1),
        row("x3d_s", "openvino", 20.0, share=0.59),
        row("x3d_s", "litert", 50.0),
        row("x3d_s", "openvino int8", 10.0),
        row("autox3d_s", "openvino", 25.2, macs=110),
        {"model": "autox3d_s", "road": "litert", "macs": 110, "not_run": "why"},
    ]
    aims = {name: (round(aim["found"], 3), aim["met"]) for name, aim in deploy._aims(rows).items()}
    assert aims == {
        "best fp32 over pytorchvideo's eager X3D-S": (5.0, True),
        "best fp32, share of the matrix product": (0.59, False),
        "best int8 over best fp32": (2.0, True),
        "AutoX3D-S over X3D-S per multiply-add, openvino": (1.145, True),
    }


@pytest.mark.parametrize(
    ("options", "message"), [({"models": ["resnet"]}, "no model 'resnet'"), ({"roads": ["tpu"]}, "no road 'tpu'")]
)
def test_bad_arguments(options, message):
    with pytest.raises(ModelError, match=message):
        deploy.run(**options)
