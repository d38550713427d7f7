"""Demo data: a small set of real video files with known answers, made on any machine in under a minute."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pytorchvideo_autox3d.data.tools.demo_motion import CLASSES, PHOTOGRAPHS, load_photographs, render_video
from pytorchvideo_autox3d.data.tools.generated import SPLITS, DataDescription, VideoTask, encode_video, make_data_set
from pytorchvideo_autox3d.errors import DataError

_VERSION = 1  # of the videos that a given setting makes


@dataclass(frozen=True)
class DemoSettings:
    """What the demo data are made from; the same settings give the same files.

    Attributes:
        seed: of all draws.
        train_per_class, val_per_class, test_per_class: videos of each of the eight classes.
        size: (width, height) in pixels, both even.
        num_frames, fps: length and rate of every video.

    Raises:
        DataError: a value is out of range.
    """

    seed: int = 0
    train_per_class: int = 150
    val_per_class: int = 15
    test_per_class: int = 30
    size: tuple[int, int] = (96, 72)
    num_frames: int = 24
    fps: int = 24

    def __post_init__(self) -> None:
        counts = (self.train_per_class, self.val_per_class, self.test_per_class, self.num_frames, self.fps)
        if min(counts) < 1 or self.seed < 0:
            raise DataError("demo data: counts must be 1 or more and the seed 0 or more")
        if any(side < 16 or side % 2 for side in self.size):
            raise DataError(f"demo data: size {self.size} must be even and 16 or more (H.264 halves the colours)")

    def per_class(self, split: str) -> int:
        """How many videos each class has in a split: "train", "val" or "test"."""
        return {"train": self.train_per_class, "val": self.val_per_class, "test": self.test_per_class}[split]


def make_demo_data(
    directory: str | Path,
    *,
    settings: DemoSettings | None = None,
    num_workers: int = 0,
    show_progress: bool = True,
) -> Path:
    """Make the demo data in `directory`: H.264 videos, the lists train.csv, val.csv and test.csv, and classes.json.

    The classes are eight camera motions, over photographs that come inside wheels; training, validation and test show
    different ones. Paths in the lists are relative to `directory`. An interrupted run leaves no `directory`; data of
    the same settings that are there already are kept.

    Args:
        directory: where the data go.
        settings: numbers and sizes of the videos, and the seed.
        num_workers: processes that make videos where these are many; 0: none but this one. A script that asks for some
            needs `if __name__ == "__main__"`, as with all of Python's processes.
        show_progress: whether to show a bar.
    Raises:
        DataError: `directory` holds something else or can't be made, or the photographs are not installed.
    """
    settings = settings or DemoSettings()
    description = DataDescription(
        kind="demo data",
        classes=CLASSES,
        per_class={split: settings.per_class(split) for split in SPLITS},
        record_file="demo.json",
        record={"version": _VERSION, **asdict(settings), "photographs": {s: list(PHOTOGRAPHS[s]) for s in SPLITS}},
    )
    return make_data_set(
        Path(directory),
        description,
        partial(_make_video, settings),
        num_workers=num_workers,
        show_progress=show_progress,
    )


def _make_video(settings: DemoSettings, task: VideoTask, path: Path) -> None:
    photos = load_photographs(task.split)
    random = np.random.default_rng([settings.seed, SPLITS.index(task.split), task.label, task.number])
    photo = photos[random.integers(len(photos))]
    pictures = render_video(task.label, photo, settings.size, settings.num_frames, random)
    encode_video(path, pictures, fps=settings.fps)
