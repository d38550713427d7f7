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
from pytorchvideo_autox3d.export.targets.openvino_split import split_channels
from pytorchvideo_autox3d.export.targets.silence import silenced

_SECTION = "autox3d"


def write(
    model: nn.Module,
    example: Tensor,
    path: Path,
    *,
    metadata: Mapping[str, str],
    dynamic_batch: bool = False,
    calibration: Sequence[Tensor] = (),
    exported: Path | None = None,
) -> None:
    """Convert `model` by way of ONNX, and write it with its metadata inside.

    Args:
        model: takes clips like `example`.
        example: a clip (B, C, T, H, W), or a lowered network's frames.
        path: the .xml file; the weights go beside it, into a .bin.
        metadata: written into the .xml.
        dynamic_batch: whether the file takes any number of clips.
        calibration: where there are any, the network is quantised to 8 bits by NNCF: symmetric weights, activations by
            the ranges that these clips give.
        exported: an ONNX file of the same model, written before; saves exporting it again.
    Raises:
        ExportError: there are calibration clips, and NNCF is not installed; names the extra.
    """
    intermediate = path.with_suffix(".onnx")
    if exported is None:
        onnx.write(model, example, intermediate, metadata={}, dynamic_batch=dynamic_batch)
    converted = openvino.convert_model(exported or intermediate)
    intermediate.unlink(missing_ok=True)
    if calibration:
        converted = _quantized(converted, calibration)
    else:
        split_channels(converted)
    for key, value in metadata.items():
        converted.set_rt_info(value, [_SECTION, key])
    openvino.save_model(converted, path, compress_to_fp16=False)


def _quantized(model: openvino.Model, calibration: Sequence[Tensor]) -> openvino.Model:
    """Quantise to 8 bits by NNCF; `ExportError` where it is not installed."""
    try:
        import nncf
    except ImportError as error:
        raise ExportError(
            "8 bits of openvino need nncf, which is not installed: pip install 'pytorchvideo_autox3d[export]'"
        ) from error
    with silenced():
        data = nncf.Dataset([np.ascontiguousarray(clip.numpy()) for clip in calibration])
        return nncf.quantize(
            model, data, preset=nncf.QuantizationPreset.MIXED, subset_size=len(calibration),
            target_device=nncf.TargetDevice.CPU,
        )  # fmt: skip


def load(path: Path, *, threads: int = 0) -> Runner:
    """Open a file with OpenVINO on the CPU, in 32-bit floats; `threads` 0 leaves the number to it."""
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino.Core().compile_model(path, "CPU", options)

    def run(clip: Tensor) -> Tensor:
        return torch.from_numpy(np.array(compiled(np.ascontiguousarray(clip.numpy()))[0]))

    return run


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata that `write` was given."""
    model = openvino.Core().read_model(path)
    if not model.has_rt_info([_SECTION]):
        return {}
    return {key: value.astype(str) for key, value in model.get_rt_info([_SECTION]).astype(dict).items()}
