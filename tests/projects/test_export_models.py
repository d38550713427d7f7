"""The script that exports every network of the hub: what it keeps of one, and how it shows what did not agree."""

import pytest
import torch

from pytorchvideo_autox3d.models.hub import HUB


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("export_models")


def test_one_network_is_compared(script):
    rows = script.export("x3d_xs", ["torch_export"], 32)
    assert rows["torch_export"]["clip"] == [1, 3, 4, 32, 32]
    assert 0 <= rows["torch_export"]["relative_difference"] < 1e-4


def test_in_float64_a_conversion_is_exact(script):
    torch.manual_seed(0)
    model = HUB["x3d_xs"].build(input_crop_size=32).eval()
    found = script.in_float64(model, torch.randn(1, 3, 4, 32, 32), script.LOWERED)
    assert found["converted"] < 1e-12 < found["eager"] < 1e-4


def test_the_table(script):
    rows = {
        "a": {"onnx": {"clip": [1, 3, 4, 64, 64], "relative_difference": 2e-6}, "lowered": {"error": "no 4-D form"}},
        "b": {
            "onnx": {
                "error": "logits differ",
                "float64": {"eager": 2e-3, "converted": 3e-12},
                "initialised": {"clip": [1, 3, 8, 64, 64], "relative_difference": 1e-7},
            },
            "lowered": {"error": "no"},
        },
    }
    assert script.table(rows, ["a", "b"], ["onnx", "lowered"]).splitlines()[2:] == [
        "| a | 3 x 4 x 64 x 64 | 2.0e-06 | no 4-D form |",
        "| b | 3 x 8 x 64 x 64 | settled: eager 2e-03, converted 3e-12 from float64; as initialised 1.0e-07 | no |",
    ]
