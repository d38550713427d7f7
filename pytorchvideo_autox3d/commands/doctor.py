"""`autox3d doctor`: what is installed, what is missing and what it is for, what decodes video, what devices exist."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import os
import platform
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pytorchvideo_autox3d import __version__
from pytorchvideo_autox3d.errors import AutoX3DError

REQUIRED = "the package"


class Part(NamedTuple):
    """A distribution: its import name, what it is used for, and how to get it."""

    module: str
    purpose: str
    source: str = REQUIRED


PARTS: dict[str, Part] = {
    "torch": Part("torch", "tensors, autograd"),
    "torchvision": Part("torchvision", "augmentation, ROIAlign"),
    "pytorchvideo": Part("pytorchvideo", "Net, X3D, other baselines"),
    "av": Part("av", "reading and writing video"),
    "numpy": Part("numpy", "arrays"),
    "numba": Part("numba", "fast depthwise convolution, CPU"),
    "fvcore": Part("fvcore", "configs, registries, counting"),
    "fsspec": Part("fsspec", "object stores"),
    "iopath": Part("iopath", "files, local or remote"),
    "pillow": Part("PIL", "photographs, pictures"),
    "simplejson": Part("simplejson", "architecture files, log lines"),
    "safetensors": Part("safetensors", "weights of packages"),
    "PyYAML": Part("yaml", "configs and search spaces"),
    "scipy": Part("scipy", "search, calibration"),
    "jinja2": Part("jinja2", "the report's page"),
    "rich": Part("rich", "progress bars and tables"),
    "tensorboard": Part("tensorboard", "training curves"),
    "matplotlib": Part("matplotlib", "pictures in reports"),
    "triton": Part("triton", "fast depthwise convolution, GPU", "torch, on Linux"),
    "scikit-image": Part("skimage", "demo data", "extra [demo]"),
    "scikit-learn": Part("sklearn", "demo data, probes", "extra [demo]"),
    "statsmodels": Part("statsmodels", "intervals in the report", "extra [demo]"),
    "onnx": Part("onnx", "ONNX export", "extra [export]"),
    "onnxruntime": Part("onnxruntime", "running ONNX models", "extra [export]"),
    "openvino": Part("openvino", "OpenVINO export", "extra [export]"),
    "nncf": Part("nncf", "8-bit export", "extra [export]"),
    "executorch": Part("executorch", "ExecuTorch export", "extra [executorch]"),
    "litert-torch": Part("litert_torch", "LiteRT export", "extra [litert]"),
    "coremltools": Part("coremltools", "Core ML export", "extra [coreml]"),
    "grad-cam": Part("pytorch_grad_cam", "where a network looked", "extra [gradcam]"),
    "gradio": Part("gradio", "the web page", "extra [web]"),
    "huggingface_hub": Part("huggingface_hub", "packages on its hub", "extra [hub]"),
    "torchcodec": Part("torchcodec", "an alternative video reader", "extra [torchcodec]"),
    "slowfast": Part("slowfast", "PySlowFast as a second harness", "PYTHONPATH"),
    "detectron2": Part("detectron2", "PySlowFast's detection", "its sources"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`doctor` takes no arguments."""


def run(args: argparse.Namespace) -> None:
    """Print the tables.

    Raises:
        AutoX3DError: a required part is missing; names it.
    """
    console = Console()
    console.print(f"pytorchvideo_autox3d {__version__}, Python {platform.python_version()}, {platform.platform()}")
    missing = _print_parts(console)
    if missing:
        raise AutoX3DError(f"required parts are missing: {', '.join(missing)}; pip install pytorchvideo_autox3d")
    _print_decoders(console)
    _print_devices(console)


def version_of(distribution: str, module: str) -> str | None:
    """The version of a distribution; "present" for a module without a version, None where it can't be imported."""
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        return None
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "present"


def _print_parts(console: Console) -> list[str]:
    table = Table("part", "version", "needed for", "comes with", box=box.SIMPLE_HEAD, pad_edge=False)
    missing = []
    for name, part in PARTS.items():
        version = version_of(name, part.module)
        if version is None and part.source == REQUIRED:
            missing.append(name)
        absent = "[red]missing" if part.source == REQUIRED else "[dim]absent"
        table.add_row(name, version or absent, part.purpose, escape(part.source))
    console.print(table)
    return missing


def _print_decoders(console: Console) -> None:
    import av

    libraries = ", ".join(f"{name} {'.'.join(map(str, v))}" for name, v in sorted(av.library_versions.items()))
    known = [name for name in ("h264", "hevc", "vp9", "av1", "mpeg4") if name in av.codecs_available]
    console.print(f"Video is decoded by PyAV {av.__version__} ({libraries})")
    console.print(f"  decoders: {', '.join(known)}; H.264 encoder for the demo data: {_has_encoder('libx264')}")


def _has_encoder(name: str) -> str:
    import av

    try:
        av.Codec(name, "w")
    except (av.codec.codec.UnknownCodecError, ValueError):
        return f"{name} is absent"
    return name


def _print_devices(console: Console) -> None:
    import torch

    console.print(f"CPU: {os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")
    if not torch.cuda.is_available():
        console.print("GPU: none that torch can use; everything runs on the CPU")
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        console.print(f"GPU {index}: {device.name}, {device.total_memory / 2**30:.0f} GiB")
