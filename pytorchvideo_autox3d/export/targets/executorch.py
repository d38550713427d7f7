"""ExecuTorch, delegated to XNNPACK: the runtime of phones and boards, run here by its Python bindings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
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
    """Write a program for one shape; `metadata` goes beside it, as `path` with .json after it.

    Where there are `calibration` clips it is quantised to 8 bits for XNNPACK: weights by output channel, activations by
    the ranges that these clips give.
    """
    with torch.no_grad(), silenced():
        model = _quantized(model, example, calibration) if calibration else model
        program = torch.export.export(model, (example,))
        edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        path.write_bytes(edge.to_executorch().buffer)
    sidecar.write(path, metadata)


def _quantized(model: nn.Module, example: Tensor, calibration: Sequence[Tensor]) -> nn.Module:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    observed = prepare_pt2e(torch.export.export(model, (example,)).module(), quantizer)
    for frames in calibration:
        observed(frames)
    quantized: nn.Module = convert_pt2e(observed)
    return quantized


def load(path: Path, *, threads: int = 0) -> Runner:
    """Run it; its thread pool is as large as the process's first program made it."""
    from executorch.runtime import Runtime

    with silenced():
        if threads:
            _set_threads(threads)
        method = Runtime.get().load_program(str(path)).load_method("forward")
    if method is None:
        raise RuntimeError(f"{path}: holds no method 'forward'")

    def run(frames: Tensor) -> Tensor:
        logits: Tensor = method.execute((frames.contiguous(),))[0]
        return logits.clone()

    return run


def _set_threads(threads: int) -> None:
    from executorch.extension.pybindings import portable_lib

    if hasattr(portable_lib, "_threadpool_reset"):
        portable_lib._threadpool_reset(threads)


read_metadata = sidecar.read
