"""Timing pieces on a backend, one after another, into a file that an interrupted measurement goes on from."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import simplejson
import torch
from torch import Tensor

from pytorchvideo_autox3d.engine.progress import ProgressBar
from pytorchvideo_autox3d.errors import ConfigError, SpaceError
from pytorchvideo_autox3d.export import fuse_for_inference, lower_to_4d
from pytorchvideo_autox3d.export.frames import fold_clip
from pytorchvideo_autox3d.export.targets import target_of
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.latency.pieces import Piece

BACKENDS = ("eager", "onnx", "openvino", "executorch")
_SAVE_SECONDS = 10.0
_WARM_UP = 2
_Run = Callable[[], object]


@dataclass(frozen=True)
class Setting:
    """What figures of one file have in common.

    Attributes:
        space: its name.
        clip: [T, H, W].
        batch: clips a pass.
        backend, threads, machine: what runs them, and where.
    """

    space: str
    clip: tuple[int, int, int]
    batch: int
    backend: str
    threads: int
    machine: str


@dataclass(frozen=True)
class Measured:
    """Milliseconds of one piece: the median of the timed passes, and their extremes."""

    median: float
    fastest: float
    slowest: float


def measure_pieces(
    pieces: Mapping[str, Piece], setting: Setting, path: Path, *, repeats: int = 7
) -> dict[str, Measured]:
    """Time what `path` does not hold yet, and keep it there.

    Raises:
        ConfigError: there is no such backend.
        SpaceError: the file holds figures of another setting; names what differs.
        ExportError: the backend is not installed.
    """
    if setting.backend not in BACKENDS:
        raise ConfigError(f"backend {setting.backend!r} is not one of {', '.join(BACKENDS)}")
    done = read_measured(path, setting) if path.exists() else {}
    left = [piece for key, piece in pieces.items() if key not in done]
    bar, saved, threads = ProgressBar(), time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(setting.threads)
    bar.start("measuring", len(pieces), done=len(done))
    try:
        for piece in left:
            bar.update(len(done), piece.key)
            done[piece.key] = _measured(piece, setting, repeats)
            if time.monotonic() - saved > _SAVE_SECONDS:
                _save(path, setting, done)
                saved = time.monotonic()
    finally:
        bar.stop()
        torch.set_num_threads(threads)
        _save(path, setting, done)
    return {key: done[key] for key in pieces}


def read_measured(path: Path, setting: Setting) -> dict[str, Measured]:
    """The figures of a file by key.

    Raises:
        SpaceError: it can't be read, or holds figures of another setting; names what differs.
    """
    try:
        data = simplejson.loads(path.read_text(encoding="utf8"))
        found, pieces = dict(data["setting"]), data["pieces"]
        measured = {key: Measured(*map(float, values)) for key, values in pieces.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SpaceError(f"{path}: holds no measured pieces: {error}") from None
    for name, value in asdict(setting).items():
        wanted = list(value) if isinstance(value, tuple) else value
        if found.get(name) != wanted:
            raise SpaceError(f"{path}: was measured with {name} {found.get(name)!r}, not {wanted!r}")
    return measured


def _save(path: Path, setting: Setting, done: Mapping[str, Measured]) -> None:
    pieces = {key: [one.median, one.fastest, one.slowest] for key, one in done.items()}
    write_json(path, {"setting": asdict(setting), "pieces": pieces})


def _measured(piece: Piece, setting: Setting, repeats: int) -> Measured:
    times = []
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        run = _runner(piece, setting, Path(folder))
        for number in range(_WARM_UP + repeats):
            start = time.perf_counter()
            run()
            if number >= _WARM_UP:
                times.append(1e3 * (time.perf_counter() - start))
    return Measured(statistics.median(times), min(times), max(times))


def _runner(piece: Piece, setting: Setting, folder: Path) -> _Run:
    clip = torch.randn(setting.batch, *piece.shape)
    if setting.backend == "eager":
        with torch.inference_mode(False):
            model = fuse_for_inference(piece.build(), clip.shape)
        values = clip.contiguous(memory_format=torch.channels_last_3d)
        return lambda: model(values)
    target = target_of(setting.backend)
    path = folder / f"piece{target.suffix}"
    example = write_piece(piece, clip, path, backend=setting.backend)
    run = target.module.load(path, threads=setting.threads)
    return lambda: run(example)


def write_piece(piece: Piece, clip: Tensor, path: Path, *, backend: str) -> Tensor:
    """Write a piece in the format of a backend; returns what the file takes in place of `clip`."""
    target = target_of(backend)
    with torch.inference_mode(False):
        model = piece.build().eval()
        clip = clip.clone()
        converted = lower_to_4d(model, clip) if target.lowers else fuse_for_inference(model, clip.shape)
        example = fold_clip(clip) if target.lowers else clip
        target.module.write(converted, example, path, metadata={})
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}.json").unlink()
    return example


def plain(setting: Setting) -> dict[str, Any]:
    """A setting for JSON."""
    return {**asdict(setting), "clip": list(setting.clip)}
