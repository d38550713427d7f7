"""LiteRT (TensorFlow Lite), run here by its own interpreter with its XNNPACK delegate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import litert_torch
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.qtyping import TFLOperationName
from torch import Tensor, nn

from pytorchvideo_autox3d.export.targets import Runner, sidecar
from pytorchvideo_autox3d.export.targets.silence import silenced


def write(
    model: nn.Module,
    example: Tensor,
    path: Path,
    *,
    metadata: Mapping[str, str],
    dynamic_batch: bool = False,
    calibration: Sequence[Tensor] = (),
) -> None:
    """Write a program for clips of the example's shape; `metadata` goes beside it, into `path` with .json after it.

    Where there are calibration clips, weights and activations are quantised to 8 bits by the ranges that these give;
    what goes in and comes out stays float32.
    """
    with torch.no_grad(), silenced():
        litert_torch.convert(model, (example,)).export(str(path))
        if calibration:
            path.write_bytes(_quantized(path, calibration))
    sidecar.write(path, metadata)


def _quantized(path: Path, calibration: Sequence[Tensor]) -> bytes:
    tool = quantizer.Quantizer(str(path))
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    for border in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
        tool.update_quantization_recipe(".*", border, algorithm_key=AlgorithmName.NO_QUANTIZE)
    ((signature, names),) = Interpreter(str(path)).get_signature_list().items()
    (source,) = names["inputs"]
    clips = [{source: clip.contiguous().numpy()} for clip in calibration]
    return bytes(tool.quantize(tool.calibrate({signature: clips})).quantized_model)


def load(path: Path, *, threads: int = 0) -> Runner:
    """Open a program to be run with `threads` threads; 0 leaves the number to the runtime."""
    interpreter = Interpreter(str(path), num_threads=threads or None)
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(frames: Tensor) -> Tensor:
        interpreter.set_tensor(source["index"], frames.contiguous().numpy())
        interpreter.invoke()
        return torch.from_numpy(interpreter.get_tensor(sink["index"]))

    return run


read_metadata = sidecar.read
