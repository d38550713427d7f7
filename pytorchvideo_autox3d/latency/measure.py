"""Times pieces on a backend and keeps the times in a file, from which an interrupted measurement goes on."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import simplejson
import torch
from torch import Tensor, nn

from pytorchvideo_autox3d.analysis import LatencyTable
from pytorchvideo_autox3d.engine.progress import ProgressBar
from pytorchvideo_autox3d.errors import ConfigError, SpaceError
from pytorchvideo_autox3d.export import fuse_for_inference, lower_to_4d
from pytorchvideo_autox3d.export.frames import fold_clip
from pytorchvideo_autox3d.export.targets import target_of
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.latency.pieces import Piece

BACKENDS = ("eager", "onnx", "openvino", "executorch")
_TOGETHER = 64
"""How many pieces are timed in turn; they are written to the file once all of them are timed."""
_Run = Callable[[], object]


@dataclass(frozen=True)
class Setting:
    """What all measured times of one file have in common.

    Attributes:
        space: its name.
        clip: (T, H, W).
        batch: clips of one forward pass.
        backend: one of `BACKENDS`, which runs them.
        threads: that the backend may use.
        machine: the machine's name.
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
    """Time the pieces that `path` does not hold yet, and keep them there.

    Args:
        pieces: by key.
        setting: how they are timed.
        path: the file, written after every `_TOGETHER` pieces.
        repeats: timed passes of each piece.
    Returns:
        What was measured of each piece, by key.
    Raises:
        ConfigError: there is no such backend.
        SpaceError: the file can't be read, or is of another setting; names what differs.
        ExportError: the backend is not installed.
    """
    if setting.backend not in BACKENDS:
        raise ConfigError(f"backend {setting.backend!r} is not one of {', '.join(BACKENDS)}")
    done = read_measured(path, setting) if path.exists() else {}
    left = [piece for key, piece in pieces.items() if key not in done]
    bar = ProgressBar()
    bar.start("measuring", len(pieces), done=len(done))
    try:
        with _threads(setting.threads):
            for first in range(0, len(left), _TOGETHER):
                some = left[first : first + _TOGETHER]
                done.update(_timed(some, setting, repeats, partial(_show, bar, len(done), len(some))))
                _save(path, setting, done)
    finally:
        bar.stop()
    return {key: done[key] for key in pieces}


def read_measured(path: Path, setting: Setting) -> dict[str, Measured]:
    """Read what a file holds of its pieces, by key.

    Raises:
        SpaceError: it can't be read, or was measured with another setting; names what differs.
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


def network_milliseconds(network: nn.Module, table: LatencyTable, *, repeats: int = 15) -> float:
    """Time a whole network on this machine as the pieces of `table` were timed.

    Args:
        network: takes clips of the table's size.
        table: whose backend, threads and batch are used.
        repeats: timed passes.
    Returns:
        The milliseconds of the fastest pass.
    Raises:
        ExportError: the table's backend is not installed.
    """
    piece = Piece("network", (3, *table.clip), lambda: network)
    setting = Setting(table.space.name, table.clip, table.batch, table.backend, table.threads, table.machine)
    with _threads(setting.threads):
        return _timed([piece], setting, repeats, lambda done: None)[piece.key].fastest


def _show(bar: ProgressBar, done: int, count: int, share: float) -> None:
    bar.update(done + int(share * count))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _timed(
    pieces: Sequence[Piece], setting: Setting, repeats: int, progress: Callable[[float], None]
) -> dict[str, Measured]:
    """Time pieces in turn, round after round; `progress` is told the share that is done."""
    times: dict[str, list[float]] = {piece.key: [] for piece in pieces}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        runs = {}
        for number, piece in enumerate(pieces):
            runs[piece.key] = _runner(piece, setting, Path(folder, str(number)))
            progress(number / len(pieces) / 2)
        for number in range(repeats):
            for key, run in runs.items():
                run()  # so that what ran before it leaves nothing of its own in the caches
                start = time.perf_counter()
                run()
                times[key].append(1e3 * (time.perf_counter() - start))
            progress((1 + (number + 1) / repeats) / 2)
    return {key: Measured(statistics.median(each), min(each), max(each)) for key, each in times.items()}


def _runner(piece: Piece, setting: Setting, path: Path) -> _Run:
    clip = torch.randn(setting.batch, *piece.shape)
    if setting.backend == "eager":
        with torch.inference_mode(False):
            model = fuse_for_inference(piece.build(), clip.shape)
        values = clip.contiguous(memory_format=torch.channels_last_3d)
        return lambda: model(values)
    target = target_of(setting.backend)
    path = path.with_suffix(target.suffix)
    example = write_piece(piece, clip, path, backend=setting.backend)
    run = target.module.load(path, threads=setting.threads)
    return lambda: run(example)


def write_piece(piece: Piece, clip: Tensor, path: Path, *, backend: str) -> Tensor:
    """Write a piece as a file of a backend's format.

    Args:
        piece: what to write.
        clip: a batch of maps that it takes, (B, C, T, H, W).
        path: the file.
        backend: a name of `BACKENDS` other than "eager".
    Returns:
        What the file takes in place of `clip`: the clip itself, or its frames where the format is lowered.
    Raises:
        ExportError: the backend is not installed, or an operator can't be lowered.
    """
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
    """A setting as plain data for JSON."""
    return {**asdict(setting), "clip": list(setting.clip)}
