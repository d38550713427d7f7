"""OpenVINO's intermediate representation: an .xml and, beside it, the weights in a .bin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.export.targets import Runner, onnx

_SECTION = "autox3d"


def write(
    model: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, str], dynamic_batch: bool = False
) -> None:
    """Convert `model` by way of ONNX, and write it with `metadata` in its runtime information."""
    intermediate = path.with_suffix(".onnx")
    onnx.write(model, example, intermediate, metadata={}, dynamic_batch=dynamic_batch)
    converted = openvino.convert_model(intermediate)
    intermediate.unlink()
    save(converted, path, metadata)


def save(model: openvino.Model, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a converted model in the type that its weights have."""
    for key, value in metadata.items():
        model.set_rt_info(value, [_SECTION, key])
    openvino.save_model(model, path, compress_to_fp16=False)


def load(path: Path, *, threads: int = 0) -> Runner:
    """Run it on the CPU in its own precision; `threads` 0 leaves the number to it."""
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino.Core().compile_model(path, "CPU", options)

    def run(clip: Tensor) -> Tensor:
        return torch.from_numpy(np.array(compiled(np.ascontiguousarray(clip.numpy()))[0]))

    return run


def read_metadata(path: Path) -> dict[str, str]:
    """What `write` put beside the network."""
    model = openvino.Core().read_model(path)
    if not model.has_rt_info([_SECTION]):
        return {}
    return {key: value.astype(str) for key, value in model.get_rt_info([_SECTION]).astype(dict).items()}
