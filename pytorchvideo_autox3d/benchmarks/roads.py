"""The roads of `autox3d bench deploy`: each turns a network of the hub into a function that runs one clip."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from pytorchvideo.models.x3d import create_x3d
from torch import Tensor, nn

from pytorchvideo_autox3d.export import fuse_for_inference, lower_to_4d
from pytorchvideo_autox3d.export.exporter import converting
from pytorchvideo_autox3d.export.frames import fold_clip
from pytorchvideo_autox3d.export.targets import target_of
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from pytorchvideo_autox3d.models import ClipNet

_CALIBRATION_CLIPS = 4
"""Random ones: they set ranges, which do not change the time."""

Ready = Callable[[], Tensor]


class RoadClosed(Exception):
    """A road can't be taken on this machine or by this network; says why."""


@dataclass(frozen=True)
class Case:
    """What a road starts from.

    Attributes:
        name: of the network in the hub.
        model: the network with fresh weights, in eval mode.
        clip: (1, 3, T, H, W).
        threads: with which it is to run.
        folder: where files are written.
    """

    name: str
    model: ClipNet
    clip: Tensor
    threads: int
    folder: Path

    def difference(self, ready: Ready) -> float | None:
        """The largest absolute difference from eager's logits; None where the weights are others."""
        with torch.inference_mode():
            expected, found = self.model(self.clip), ready()
        return None if getattr(ready, "other_weights", False) else float((found - expected).abs().max())


def _plain(model: nn.Module, clip: Tensor) -> Tensor:
    with depthwise_kernels(False):
        logits: Tensor = model(clip)
    return logits


def _as_pytorchvideo_gives_it(case: Case) -> nn.Module:
    """pytorchvideo's own X3D with the case's weights; an AutoX3D, which it does not have, as it is."""
    if not case.name.startswith("x3d"):
        return case.model
    frames, size = case.clip.shape[2:4]
    net = create_x3d(input_clip_length=frames, input_crop_size=size, model_num_class=400, head_activation=None)
    net.load_state_dict(case.model.state_dict())
    return net.eval()


def pytorchvideo(case: Case) -> Ready:
    """Eager, by torch's convolutions."""
    return partial(_plain, _as_pytorchvideo_gives_it(case), case.clip)


def transmuted(case: Case) -> Ready:
    """pytorchvideo's mobile form: its efficient blocks in place of X3D's, converted for this clip's size.

    Raises:
        RoadClosed: the network is no X3D.
    """
    if not case.name.startswith("x3d"):
        raise RoadClosed("pytorchvideo's transmute_model knows the blocks of X3D only")
    import pytorchvideo.accelerator.deployment.mobile_cpu.transmuter  # noqa: F401 -- registers the mobile blocks
    from pytorchvideo.accelerator.deployment.common.model_transmuter import transmute_model
    from pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion import convert_to_deployable_form

    net = _as_pytorchvideo_gives_it(case)
    transmute_model(net, target_device="mobile_cpu")
    return partial(_plain, convert_to_deployable_form(net, case.clip).eval(), case.clip)


def efficient_x3d(case: Case) -> Ready:
    """pytorchvideo's EfficientX3d-S, converted for this clip's size; it has fresh weights of its own.

    Raises:
        RoadClosed: the network is not X3D-S.
    """
    if case.name != "x3d_s":
        raise RoadClosed("pytorchvideo's efficient_x3d has the sizes of X3D only")
    from pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion import convert_to_deployable_form
    from pytorchvideo.models.accelerator.mobile_cpu.efficient_x3d import create_x3d as create_efficient_x3d

    net = create_efficient_x3d(expansion="S", num_classes=400).eval()
    ready = partial(_plain, convert_to_deployable_form(net, case.clip).eval(), case.clip)
    ready.other_weights = True  # type: ignore[attr-defined]
    return ready


def channels_last(case: Case) -> Ready:
    """Eager in channels_last_3d, by torch's convolutions."""
    layout = torch.channels_last_3d
    model = copy.deepcopy(case.model).to(memory_format=layout)
    return partial(_plain, model, case.clip.to(memory_format=layout))


def ours(case: Case) -> Ready:
    """Eager in channels_last_3d, by this package's kernels."""
    layout = torch.channels_last_3d
    model = copy.deepcopy(case.model).to(memory_format=layout)
    return partial(model, case.clip.to(memory_format=layout))


def ours_fused(case: Case) -> Ready:
    """Eager, after `fuse_for_inference`."""
    return partial(fuse_for_inference(case.model, case.clip.shape), case.clip)


def compiled(case: Case) -> Ready:
    """The fused network by torch.compile, with its weights frozen.

    Raises:
        RoadClosed: there is no C++ compiler.
    """
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        raise RoadClosed("torch.compile needs a C++ compiler, and there is none")
    from torch._inductor import config

    with config.patch(freezing=True):
        model = torch.compile(fuse_for_inference(case.model, case.clip.shape))
        ready = partial(model, case.clip)
        with torch.inference_mode():
            ready()
    return ready


def _exported(case: Case, *, format: str, lower: bool = False, int8: bool = False) -> Ready:
    """Written and run as `export_model` does it, without its comparison and its timing: those are the benchmark's."""
    target = target_of(format)
    module = target.module
    path = case.folder / f"{case.name}_{format}_{lower}_{int8}{target.suffix}"
    with converting(target, path):
        model, example = _converted(case, lower or target.lowers)
        options: dict[str, Any] = {}
        if int8:
            generator = torch.Generator().manual_seed(2)
            options["calibration"] = [
                torch.randn(example.shape, generator=generator) for _ in range(_CALIBRATION_CLIPS)
            ]
        if target.requires.get("onnx"):
            options["exported"] = _onnx_file(case, lower)
        module.write(model, example, path, metadata={}, **options)
        return partial(module.load(path, threads=case.threads), example)


@lru_cache(maxsize=2)
def _converted(case: Case, lower: bool) -> tuple[nn.Module, Tensor]:
    """The network fused or lowered, and what it takes; once for all formats."""
    if lower:
        return lower_to_4d(case.model, case.clip), fold_clip(case.clip)
    return fuse_for_inference(case.model, case.clip.shape), case.clip


@lru_cache(maxsize=2)
def _onnx_file(case: Case, lower: bool) -> Path:
    """What both ONNX Runtime's and OpenVINO's files are made of."""
    path = case.folder / f"{case.name}_{lower}.onnx"
    target_of("onnx").module.write(*_converted(case, lower), path, metadata={})
    return path


ROADS: Mapping[str, Callable[[Case], Ready]] = {
    "pytorchvideo": pytorchvideo,
    "pytorchvideo transmute_model": transmuted,
    "pytorchvideo efficient_x3d": efficient_x3d,
    "channels_last_3d": channels_last,
    "ours": ours,
    "ours fused": ours_fused,
    "torch.compile": compiled,
    "onnxruntime": partial(_exported, format="onnx"),
    "onnxruntime 4d": partial(_exported, format="onnx", lower=True),
    "onnxruntime 4d int8": partial(_exported, format="onnx", lower=True, int8=True),
    "openvino": partial(_exported, format="openvino"),
    "openvino 4d": partial(_exported, format="openvino", lower=True),
    "openvino int8": partial(_exported, format="openvino", int8=True),
    "openvino 4d int8": partial(_exported, format="openvino", lower=True, int8=True),
    "executorch": partial(_exported, format="executorch"),
    "executorch int8": partial(_exported, format="executorch", int8=True),
    "litert": partial(_exported, format="litert"),
    "litert int8": partial(_exported, format="litert", int8=True),
}
INT8_ROADS = tuple(name for name in ROADS if name.endswith("int8"))
FP32_ROADS = tuple(name for name in ROADS if name not in INT8_ROADS)
