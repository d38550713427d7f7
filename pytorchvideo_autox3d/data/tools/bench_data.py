"""Bench data: video files on which networks differ, for comparing architectures and searches on a CPU."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pytorchvideo_autox3d.data.tools.bench_motion import BENCH_CLASSES, render_bench_video
from pytorchvideo_autox3d.data.tools.demo_motion import PHOTOGRAPHS, load_photographs
from pytorchvideo_autox3d.data.tools.generated import SPLITS, DataDescription, VideoTask, encode_video, make_data_set
from pytorchvideo_autox3d.errors import DataError

_VERSION = 1  # of the videos that a given setting makes
_CRF = (18, 28)  # x264's constant rate factor, drawn for each video: compression is one of the nuisances


@dataclass(frozen=True)
class BenchSettings:
    """What the bench data are made from; the same settings give the same files.

    Attributes:
        seed: of all draws.
        train_per_class, val_per_class, test_per_class: videos of each class of BENCH_CLASSES.
        size: side of the square video in pixels, even.
        num_frames, fps: length and rate of every video.

    Raises:
        DataError: a value is out of range.
    """

    seed: int = 0
    train_per_class: int = 100
    val_per_class: int = 42
    test_per_class: int = 84
    size: int = 28
    num_frames: int = 16
    fps: int = 16

    def __post_init__(self) -> None:
        counts = (self.train_per_class, self.val_per_class, self.test_per_class, self.fps)
        if min(counts) < 1 or self.num_frames < 2 or self.seed < 0:
            raise DataError("bench data: counts must be 1 or more, frames 2 or more and the seed 0 or more")
        if self.size < 16 or self.size % 2:
            raise DataError(f"bench data: size {self.size} must be even and 16 or more (H.264 halves the colours)")


def make_bench_data(
    directory: str | Path,
    *,
    settings: BenchSettings | None = None,
    num_workers: int = 0,
    show_progress: bool = True,
) -> Path:
    """Make the bench data in `directory`: H.264 videos, the lists train.csv, val.csv and test.csv, and classes.json.

    A class says who moves, how, and with which surface (`bench_motion`). The videos show the demo's photographs, and
    training, validation and test show different ones. Paths in the lists are relative to `directory`. An interrupted
    run leaves no `directory`; data of the same settings that are there already are kept.

    Args:
        directory: where the data go.
        settings: numbers and sizes of the videos, and the seed.
        num_workers: processes that make videos where these are many; 0: none but this one. A script that asks for some
            needs `if __name__ == "__main__"`, as with all of Python's processes.
        show_progress: whether to show a bar.
    Raises:
        DataError: `directory` holds something else or can't be made, or the photographs are not installed.
    """
    settings = settings or BenchSettings()
    description = DataDescription(
        kind="bench data",
        classes=BENCH_CLASSES,
        per_class={split: getattr(settings, f"{split}_per_class") for split in SPLITS},
        record_file="bench.json",
        record={"version": _VERSION, **asdict(settings), "photographs": {s: list(PHOTOGRAPHS[s]) for s in SPLITS}},
    )
    return make_data_set(
        Path(directory),
        description,
        partial(_make_video, settings),
        num_workers=num_workers,
        show_progress=show_progress,
    )


def _make_video(settings: BenchSettings, task: VideoTask, path: Path) -> None:
    photos = load_photographs(task.split)
    random = np.random.default_rng([settings.seed, SPLITS.index(task.split), task.label, task.number])
    pictures = render_bench_video(task.label, photos, settings.size, settings.num_frames, random)
    encode_video(path, pictures, fps=settings.fps, crf=int(random.integers(_CRF[0], _CRF[1] + 1)))
