"""LiteRT (TensorFlow Lite), run here by its own interpreter with its XNNPACK delegate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import litert_torch
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import Tensor, nn

from pytorchvideo_autox3d.export.targets import Runner, sidecar
from pytorchvideo_autox3d.export.targets.silence import silenced


def write(
    model: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, str], dynamic_batch: bool = False
) -> None:
    """Write a program for clips of the example's shape; `metadata` goes beside it, into `path` with .json after it."""
    with torch.no_grad(), silenced():
        litert_torch.convert(model, (example,)).export(str(path))
    sidecar.write(path, metadata)


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
