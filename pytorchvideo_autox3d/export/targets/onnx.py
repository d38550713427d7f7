"""ONNX, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.export.targets import Runner
from pytorchvideo_autox3d.export.targets.silence import silenced

INPUT, OUTPUT = "clip", "logits"


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
    """Write `model` as one file that holds its weights, too.

    Args:
        model: takes clips like `example`.
        example: a clip (B, C, T, H, W), or a lowered network's frames.
        path: the file.
        metadata: written among the file's properties.
        dynamic_batch: whether the file takes any number of clips.
        calibration: where there are any, the network is quantised to 8 bits: weights by output channel, activations by
            the ranges that these clips give.
        exported: an ONNX file of the same model, written before; saves exporting it again, which is most of the work.
    """
    proto = onnx.load_model(str(exported)) if exported else _proto(model, example, dynamic_batch)
    if calibration:
        proto = _quantized(proto, calibration, path)
    onnx.helper.set_model_props(proto, dict(metadata))
    onnx.save_model(proto, str(path))


def _proto(model: nn.Module, example: Tensor, dynamic_batch: bool) -> onnx.ModelProto:
    shapes = ({0: torch.export.Dim("batch", min=1)},) if dynamic_batch else None
    with torch.no_grad(), silenced():
        # With a dynamic size the exporter must see one that is neither 0 nor 1, which it would take for constants.
        example = torch.cat([example] * 2) if dynamic_batch and example.shape[0] == 1 else example
        program = torch.onnx.export(
            model, (example,), dynamo=True, dynamic_shapes=shapes, input_names=[INPUT], output_names=[OUTPUT],
            verbose=False,
        )  # fmt: skip
    proto = program.model_proto  # type: ignore[union-attr]
    onnx.checker.check_model(proto)
    return proto


def _quantized(proto: onnx.ModelProto, calibration: Sequence[Tensor], path: Path) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source, prepared = (path.with_name(f"{stage}_{path.name}") for stage in ("float", "prepared"))
    onnx.save_model(proto, str(source))
    with silenced():
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared), str(path), _Clips(calibration), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    for stage in (source, prepared):
        stage.unlink()
    return onnx.load_model(str(path))


class _Clips:
    """Calibration clips in the form that onnxruntime asks for them: one after another, then None."""

    def __init__(self, clips: Sequence[Tensor]) -> None:
        self._clips = iter(clips)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next clip by the input's name, or None after the last."""
        clip = next(self._clips, None)
        return None if clip is None else {INPUT: np.ascontiguousarray(clip.numpy())}


def load(path: Path, *, threads: int = 0) -> Runner:
    """Open a file with ONNX Runtime on the CPU; `threads` 0 leaves the number to it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(clip: Tensor) -> Tensor:
        values = np.ascontiguousarray(clip.numpy())
        return torch.from_numpy(session.run(None, {name: values})[0])

    return run


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata that `write` was given."""
    proto = onnx.load_model(str(path), load_external_data=False)
    return {entry.key: entry.value for entry in proto.metadata_props}
