"""`export_model`: a network written for a runtime, run by it, and compared with eager before anything is kept."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pytorchvideo_autox3d import __version__
from pytorchvideo_autox3d.analysis import measure_latency
from pytorchvideo_autox3d.errors import AutoX3DError, ExportError
from pytorchvideo_autox3d.export.frames import fold_clip
from pytorchvideo_autox3d.export.fuse import fuse_for_inference
from pytorchvideo_autox3d.export.lowering import example_clip, lower_to_4d
from pytorchvideo_autox3d.export.parity import compare, eager_logits
from pytorchvideo_autox3d.export.report import ExportReport
from pytorchvideo_autox3d.export.targets import TARGETS, Runner, Target, target_of, target_of_file
from pytorchvideo_autox3d.models import ModelCard

LOWERINGS = ("4d",)
_RANDOM_CLIPS = 3
_WARM_UP, _REPEATS = 2, 7
_PLACE = re.compile(r"Exception from |Check '.*' failed at ")


def export_model(
    model: nn.Module,
    path: str | Path,
    *,
    format: str,
    clip: Tensor | Sequence[int],
    lower: str | None = None,
    dynamic_batch: bool = False,
    card: ModelCard | None = None,
    real_clips: Sequence[Tensor] = (),
    calibration: Sequence[Tensor] = (),
    threads: int | None = None,
) -> ExportReport:
    """Write `model` for a runtime, run the file there, and compare its logits with eager's.

    BN is folded, and layers that do nothing in eval are left out. Nothing is left at `path` unless all of it went well.

    Args:
        model: a network that takes one clip (B, C, T, H, W) and returns logits; it is not changed.
        path: the file; the format's suffix is added where it lacks it.
        format: onnx, openvino, torch_export, executorch, litert or coreml.
        clip: such a clip, or its (T, H, W) for one clip of three channels.
        lower: "4d" for a network without tensors of five dimensions, which then takes frames (B * T, C, H, W), a clip's
            one after another; None for what the format needs.
        dynamic_batch: whether the file takes any number of clips.
        card: its classes and preprocessing, for the file's metadata; by default `model.card`, where it has one.
        real_clips: more clips of the shape of `clip`, of videos, to compare on beside the random ones.
        calibration: clips of that shape, of videos like those to come. Where there are any, weights and activations
            are quantised to 8 bits (statically, by the ranges that these clips give); the difference from eager is
            then reported and held to no limit.
        threads: of the runtime and of eager; by default torch's own number.
    Raises:
        ExportError: the format is unknown or not installed (names the extra), can't do what is asked of it, the network
            can't be exported (names the operator), or the exported one disagrees with eager (says by how much).
        ModelError: `clip` is neither a clip nor its sizes.
    """
    target = target_of(format)
    lower = _lowering(target, lower, dynamic_batch)
    if calibration and not target.quantizes:
        able = ", ".join(one.name for one in TARGETS.values() if one.quantizes)
        raise ExportError(f"format {target.name} is not quantised here: {able} are")
    clips = [example_clip(clip), *real_clips]
    if target.single_clip and clips[0].shape[0] > 1:
        # Its XNNPACK delegate confuses the first two dimensions of pooled maps (executorch 1.5.1).
        raise ExportError(f"format {target.name} takes one clip at a time, not {clips[0].shape[0]}")
    module = target.module
    path = Path(path) if str(path).endswith(target.suffix) else Path(f"{path}{target.suffix}")
    if path.is_dir() and not target.folder:
        raise ExportError(f"can't write {path}: is a folder")
    clips[1:1] = _random_clips(clips[0], _RANDOM_CLIPS - 1)
    threads = threads or torch.get_num_threads()
    with converting(target, path):
        converted = lower_to_4d(model, clips[0]) if lower else fuse_for_inference(model, clips[0].shape)
    example = fold_clip(clips[0]) if lower else clips[0]
    metadata = metadata_of(card or getattr(model, "card", None), clips[0], lower)
    with _folder_beside(path) as folder:
        file = folder / path.name
        with converting(target, path):
            options: dict[str, Any] = {"metadata": metadata, "dynamic_batch": dynamic_batch}
            if calibration:
                options["calibration"] = [fold_clip(one) if lower else one for one in calibration]
            module.write(converted, example, file, **options)
        parity = None
        runs: dict[str, Callable[[], object]] = {"eager": partial(eager_logits, model, clips[0])}
        if target.runs_here:
            with converting(target, path):
                run = _on_clips(module.load(file, threads=threads), lower)
                parity = compare(run, model, clips, bounded=not calibration)
            runs["exported"] = partial(run, clips[0])
        times = measure_latency(runs, warm_up=_WARM_UP, repeats=_REPEATS)
        size = _move(folder, path)
    return ExportReport(
        path=path, format=target.name, runtime=target.runtime, clip=tuple(clips[0].shape), lower=lower, parity=parity,
        milliseconds=times["exported"].median if target.runs_here else None,
        eager_milliseconds=times["eager"].median, bytes=size, int8=bool(calibration),
        threads=threads, random_clips=_RANDOM_CLIPS, real_clips=len(real_clips),
    )  # fmt: skip


def load_exported(path: str | Path, *, threads: int = 0) -> Runner:
    """Open an exported file: a function from a clip (B, C, T, H, W) to logits (B, K), both float32 on the CPU.

    Args:
        path: the file; its suffix names the format.
        threads: of the runtime; 0 leaves the number to it.
    Raises:
        ExportError: there is no such file or format, its runtime is not installed (names the extra), or can't run it.
    """
    target = target_of_file(path)
    if not target.runs_here:
        raise ExportError(f"{path}: {target.name} can't be run on this machine")
    module = target.module
    metadata = read_metadata(path)
    try:
        return _on_clips(module.load(Path(path), threads=threads), metadata.get("lower") or None)
    except (RuntimeError, ValueError, OSError) as error:
        raise ExportError(f"{path}: can't be run as {target.name}: {_first_line(error)}") from error


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read what an exported file says of its network: `model_card`, `classes`, `clip`, `layout`, `lower`.

    Raises:
        ExportError: there is no such file, it is of no format of ours, or can't be read as its format.
    """
    target = target_of_file(path)
    if not Path(path).exists():
        raise ExportError(f"{path}: no such file")
    try:
        metadata: dict[str, str] = target.module.read_metadata(Path(path))
    except AutoX3DError:
        raise
    except Exception as error:  # a parser of another library, on a file that is none of its own
        raise ExportError(f"{path}: is no file of {target.name}: {_first_line(error)}") from error
    return metadata


def metadata_of(card: ModelCard | None, clip_BCTHW: Tensor, lower: str | None) -> dict[str, str]:
    """What a program that runs the file must know, each value a string (lists and mappings as JSON).

    `clip_BCTHW` is of the shape that the file takes; `lower` is "4d" where the file takes frames.
    """
    metadata = {
        "producer": f"pytorchvideo_autox3d {__version__}",
        "clip": json.dumps(list(clip_BCTHW.shape)),
        "layout": "frames (B * T, C, H, W), a clip's one after another" if lower else "clip (B, C, T, H, W)",
        "lower": lower or "",
    }
    if card is not None:
        plain = card.to_dict()
        metadata["classes"] = json.dumps(plain["classes"])
        metadata["preprocessing"] = json.dumps(plain["preprocessing"])
        metadata["model_card"] = json.dumps(plain)
    return metadata


def _lowering(target: Target, lower: str | None, dynamic_batch: bool) -> str | None:
    """The lowering, "4d" or None, that is needed or asked for; `ExportError` where the format can't do it."""
    if lower not in (None, *LOWERINGS):
        raise ExportError(f"lower {lower!r} is not one of {', '.join(LOWERINGS)}")
    lower = "4d" if target.lowers else lower
    if dynamic_batch and (lower or not target.dynamic_batch):
        raise ExportError(f"format {target.name}{' lowered to 4d' if lower else ''} takes a fixed number of clips only")
    return lower


def _random_clips(like: Tensor, count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(like.shape, generator=generator).to(like.dtype) for _ in range(count)]


def _on_clips(runner: Runner, lower: str | None) -> Runner:
    return (lambda clip: runner(fold_clip(clip))) if lower else runner


@contextmanager
def converting(target: Target, path: Path) -> Iterator[None]:
    """Turn whatever a converter raises inside the `with` into one line.

    Raises:
        ExportError: names the format, the file and, where it is known, the operator.
    """
    try:
        yield
    except ExportError as error:
        raise ExportError(f"{target.name}: {path}: {error}") from error
    except AutoX3DError:
        raise
    except Exception as error:  # converters raise of everything
        raise ExportError(f"{target.name}: {path}: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """The first line of the innermost cause, and the operator that any of them names."""
    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None and inner not in chain:
        chain.append(inner)
    operators = [
        found for one in chain for found in re.findall(r"\b(?:aten|prims|torchvision)(?:::|\.)[\w.]+", str(one))
    ]
    named = f"operator {operators[0]}: " if operators else ""
    return f"{named}{_first_line(chain[-1])}"


def _first_line(error: BaseException) -> str:
    """The first line of a message that says what is wrong: OpenVINO's begin with places in its source."""
    lines = [line for line in str(error).splitlines() if line.strip() and not _PLACE.match(line)]
    return lines[0].strip() if lines else type(error).__name__


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A folder beside `path` to write its files in, gone afterwards; `ExportError` where writing fails."""
    folder = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except OSError as error:
        raise ExportError(f"can't write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move(folder: Path, path: Path) -> int:
    """Put the files of `folder` beside `path`, that of its name last; returns their bytes."""
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    for file in sorted(folder.iterdir(), key=lambda file: file.name == path.name):
        goal = path.with_name(file.name)
        if file.is_dir() and goal.is_dir():
            shutil.rmtree(goal)
        os.replace(file, goal)
    return size
