"""OpenVINO's intermediate representation: an .xml and, beside it, the weights in a .bin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.errors import ExportError
from pytorchvideo_autox3d.export.targets import Runner, onnx
from pytorchvideo_autox3d.export.targets.silence import silenced

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


def quantize(source: Path, path: Path, clips: Sequence[Tensor]) -> None:
    """Quantise statically to 8 bits by NNCF: symmetric weights, activations by the ranges that the clips give.

    Raises:
        ExportError: NNCF is not installed; names the extra.
    """
    try:
        import nncf
    except ImportError as error:
        raise ExportError(
            "8 bits of openvino need nncf, which is not installed: pip install 'pytorchvideo_autox3d[export]'"
        ) from error
    metadata = read_metadata(source)
    with silenced():
        data = nncf.Dataset([np.ascontiguousarray(clip.numpy()) for clip in clips])
        model = openvino.Core().read_model(source)
        quantized = nncf.quantize(
            model, data, preset=nncf.QuantizationPreset.MIXED, subset_size=len(clips),
            target_device=nncf.TargetDevice.CPU,
        )  # fmt: skip
    save(quantized, path, metadata)


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
