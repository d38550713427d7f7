"""ExecuTorch, delegated to XNNPACK: the runtime of phones and boards, run here by its Python bindings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from torch import Tensor, nn

from pytorchvideo_autox3d.export.targets import Runner, sidecar
from pytorchvideo_autox3d.export.targets.silence import silenced


def write(
    model: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, str], dynamic_batch: bool = False
) -> None:
    """Write a program for clips of the example's shape; `metadata` goes beside it, into `path` with .json after it."""
    with torch.no_grad(), silenced():
        program = torch.export.export(model, (example,))
        edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        path.write_bytes(edge.to_executorch().buffer)
    sidecar.write(path, metadata)


def load(path: Path, *, threads: int = 0) -> Runner:
    """Open a program; `threads` sets the size of the process's thread pool, and 0 leaves it as it is."""
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
