"""The formats that a network can be exported to, by name; a runtime is imported only when its format is asked for."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from torch import Tensor

from pytorchvideo_autox3d.errors import ExportError

Runner = Callable[[Tensor], Tensor]
"""Runs an exported file: a clip, or the frames of a lowered network, to logits."""


@dataclass(frozen=True)
class Target:
    """A format that a network can be exported to.

    Attributes:
        name: as `export_model` takes it.
        suffix: of its files.
        requires: the modules that it needs beside torch, each with the distribution that has it.
        extra: the extra of this package that installs them.
        lowers: whether its runtime has no Conv3d, so that the network is lowered to four dimensions.
        runs_here: whether its runtime exists where this package runs; else it is only converted.
        dynamic_batch: whether one file can take any number of clips.
        single_clip: whether it takes one clip at a time only.
        folder: whether its "files" are folders.
        quantizes: whether `write` takes `calibration`, clips whose ranges it quantises to 8 bits by.
    """

    name: str
    suffix: str
    requires: Mapping[str, str]
    extra: str = "export"
    lowers: bool = False
    runs_here: bool = True
    dynamic_batch: bool = False
    single_clip: bool = False
    folder: bool = False
    quantizes: bool = False

    @property
    def module(self) -> ModuleType:
        """The format's module: `write(model, example, path, *, metadata, dynamic_batch)` and `read_metadata(path)`.

        Where the format runs here, it has `load(path, *, threads)`, too.

        Raises:
            ExportError: what it needs is not installed; names the extra.
        """
        for module, distribution in self.requires.items():
            if importlib.util.find_spec(module) is None:
                raise ExportError(
                    f"format {self.name} needs {distribution}, which is not installed: "
                    f"pip install 'pytorchvideo_autox3d[{self.extra}]'"
                )
        return importlib.import_module(f"{__name__}.{self.name}")

    @property
    def runtime(self) -> str:
        """The distribution that runs the format (torch, where it needs nothing else), with its version."""
        distribution = [*self.requires.values(), "torch"][-1 if not self.requires else len(self.requires) - 1]
        return f"{distribution} {importlib.metadata.version(distribution)}"


TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        Target(
            "onnx", ".onnx", {"onnx": "onnx", "onnxscript": "onnxscript", "onnxruntime": "onnxruntime"},
            dynamic_batch=True, quantizes=True,
        ),
        Target(
            "openvino", ".xml", {"onnx": "onnx", "onnxscript": "onnxscript", "openvino": "openvino"},
            dynamic_batch=True, quantizes=True,
        ),
        Target("torch_export", ".pt2", {}, dynamic_batch=True),
        Target(
            "executorch", ".pte", {"executorch": "executorch"}, extra="executorch", lowers=True, single_clip=True,
            quantizes=True,
        ),
        Target(
            "litert", ".tflite", {"litert_torch": "litert-torch", "ai_edge_litert": "ai-edge-litert"}, extra="litert",
            lowers=True, quantizes=True,
        ),
        Target(
            "coreml", ".mlpackage", {"coremltools": "coremltools"}, extra="coreml", lowers=True, runs_here=False,
            folder=True,
        ),
    )
}  # fmt: skip


def target_of(name: str) -> Target:
    """The format of this name.

    Raises:
        ExportError: there is none of this name; lists those there are.
    """
    if name not in TARGETS:
        raise ExportError(f"format {name!r} is not one of {', '.join(TARGETS)}")
    return TARGETS[name]


def target_of_file(path: str | Path) -> Target:
    """The format of a file, by its suffix.

    Raises:
        ExportError: no format's files end so; lists their suffixes.
    """
    for target in TARGETS.values():
        if str(path).endswith(target.suffix):
            return target
    raise ExportError(f"{path}: ends like no format's files: {', '.join(one.suffix for one in TARGETS.values())}")
