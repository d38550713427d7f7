"""The script that exports every network of the registry: which there are, what it keeps of one, and how it shows it."""

import pytest
import torch

from pytorchvideo_autox3d.models.hub import HUB
from pytorchvideo_autox3d.registry import MODEL_REGISTRY


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("export_models")


def test_every_model_of_the_registry_and_every_name_of_the_hub_is_there(script):
    names = set(script.builders())
    assert names >= set(HUB)
    assert {name for name, _ in MODEL_REGISTRY} <= names | {entry.model for entry in HUB.values()}


def test_one_network_is_compared(script):
    model, clip = script.network("x3d_xs", 32)
    assert clip.shape == (1, 3, 4, 32, 32)
    row = script.attempt(model, clip, "torch_export")
    assert row["clip"] == [1, 3, 4, 32, 32]
    assert 0 <= row["relative_difference"] < 1e-4
    assert row["eager_error"] is None
    assert row["runtime"] == f"torch {torch.__version__.partition('+')[0]}"


def test_a_refusal_says_why(script):
    class Sorted(torch.nn.Module):
        def forward(self, clip):
            return torch.linalg.eigvals(clip[:, 0, 0]).real[:, :3]

    row = script.attempt(Sorted(), torch.zeros(1, 3, 2, 4, 4), script.LOWERED)
    assert row == {"error": "net.onnx: operator aten.select.int on five dimensions has no 4-D form"}


def test_the_table(script):
    exact = {"clip": [1, 3, 4, 64, 64], "relative_difference": 2.4e-6, "eager_error": None, "exported_error": None}
    inexact = {**exact, "relative_difference": 3e-3, "eager_error": 2e-3, "exported_error": 1e-3}
    rows = {"a": {"onnx": exact, "onnx_4d": {"error": "no 4-D form"}}, "b": {"onnx": inexact, "onnx_4d": exact}}
    assert script.table(rows, ["onnx", "onnx_4d"]).splitlines()[2:] == [
        "| a | 3 x 4 x 64 x 64 | 2e-06 | no 4-D form |",
        "| b | 3 x 4 x 64 x 64 | 1e-03 from float64 (eager 2e-03) | 2e-06 |",
    ]
