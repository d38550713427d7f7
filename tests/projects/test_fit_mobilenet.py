"""The search for the paper's MobileNetV2-3D: its arithmetic against the counted networks, and what it finds."""

import json
from pathlib import Path

import pytest
import torch

from pytorchvideo_autox3d.analysis import count_module
from pytorchvideo_autox3d.models import create_mobilenet_v2_3d, create_mobilenet_v2_3d_fitted


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("fit_mobilenet")


@pytest.mark.parametrize(
    ("build", "values"),
    [
        (create_mobilenet_v2_3d, ("mobilenetv2", 224, 1, 32, False, "no", "linear")),
        (create_mobilenet_v2_3d_fitted, ("mobilenetv2", 256, 1, 16, False, "every", "x3d")),
    ],
)
def test_the_formula_counts_what_the_network_has(script, build, values):
    one = script.Construction(*values)
    with torch.device("meta"):
        counted = count_module(build(), (16, one.crop, one.crop))
    assert (int(script.cost(one).macs), int(script.cost(one).params)) == (counted.macs, counted.params)


def test_what_it_found_is_what_is_kept(script):
    found = script.search()
    assert found[0][0] == script.Construction("mobilenetv2", 256, 1, 16, False, "every", "x3d")
    kept = json.loads((Path(script.__file__).parent / "results" / "fit_mobilenet.json").read_text())
    assert [row["params_m"] for row in kept] == [params for _, _, params in found]
