"""ExecuTorch, delegated to XNNPACK: the runtime of phones and boards, run here by its Python bindings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS, ConstantPadConfig
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.exir import to_edge_transform_and_lower
from torch import Tensor, fx, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from pytorchvideo_autox3d.export.targets import Runner, sidecar
from pytorchvideo_autox3d.export.targets.silence import silenced

# XNNPACK refuses to load a quantised padding ("Failed to create StaticConstantPad node", executorch 1.5.1). In 8 bits
# frames of zeros are joined to the map instead, and what else is padded ExecuTorch's own operator pads, on floats.
_CONFIGS_INT8 = [config for config in ALL_PARTITIONER_CONFIGS if config is not ConstantPadConfig]


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

    Where there are calibration clips, weights (by output channel) and activations are quantised to 8 bits, by the
    ranges that these clips give; what goes in and comes out stays float32.
    """
    with torch.no_grad(), silenced():
        program = torch.export.export(model, (example,))
        if calibration:
            program = torch.export.export(_quantized(program.module(), calibration), (example,))
        partitioner = XnnpackPartitioner(configs=_CONFIGS_INT8) if calibration else XnnpackPartitioner()
        edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
        path.write_bytes(edge.to_executorch().buffer)
    sidecar.write(path, metadata)


def _quantized(graph: Any, calibration: Sequence[Tensor]) -> Any:
    _join_for_padding(graph)
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    observed = prepare_pt2e(graph, quantizer)
    for frames in calibration:
        observed(frames)
    quantized = convert_pt2e(observed)
    # The weights in float32 are left on the module, and would be written to the file.
    used = {node.target for node in quantized.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in (*quantized.named_parameters(), *quantized.named_buffers()) if name not in used]:
        owner, _, own_name = name.rpartition(".")
        delattr(quantized.get_submodule(owner), own_name)
    return quantized


def _join_for_padding(graph_module: Any) -> None:
    """Write paddings of frames as joins with zeros, and narrows as slices: the quantiser and XNNPACK know these."""
    graph = graph_module.graph
    for node in list(graph.nodes):
        with graph.inserting_before(node):
            new = _replacement(graph, node)
        if new is not None:
            new.meta = dict(node.meta)
            node.replace_all_uses_with(new)
            graph.erase_node(node)
    graph_module.recompile()


def _replacement(graph: fx.Graph, node: fx.Node) -> fx.Node | None:
    aten = torch.ops.aten
    if node.target == aten.narrow.default:
        source, dim, first, length = node.args
        return graph.call_function(aten.slice.Tensor, (source, dim, first, first + length))  # type: ignore[operator]
    if node.target != aten.pad.default:
        return None
    source, pads = cast(tuple[fx.Node, list[int]], node.args[:2])
    *within, before, after = pads
    if len(within) != 6 or any(within):
        return None
    shape = source.meta["val"].shape[1:]
    zeros = [
        [graph.call_function(aten.zeros.default, ([count, *shape],))] if count else [] for count in (before, after)
    ]
    return graph.call_function(aten.cat.default, ([*zeros[0], source, *zeros[1]],))


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
