"""Demo data: a small set of real video files with known answers, made on any machine in under a minute."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import numpy as np
import simplejson
from av.video.reformatter import VideoReformatter
from PIL import Image
from rich.progress import Progress

from pytorchvideo_autox3d.data.tools.demo_motion import CLASSES, PHOTOGRAPHS, Picture, load_photographs, render_video
from pytorchvideo_autox3d.errors import DataError

SPLITS = ("train", "val", "test")
_SETTINGS_FILE = "demo.json"
_VERSION = 1  # of the videos that a given setting makes
# x264 with several threads, or looking ahead over pictures this small, gives other bytes from run to run.
_REPEATABLE = {
    "preset": "veryfast",
    "crf": "20",
    "threads": "1",
    "flags": "+bitexact",
    "x264-params": "mbtree=0:weightp=0:b-adapt=0:scenecut=0",
}


@dataclass(frozen=True)
class DemoSettings:
    """What the demo data are made from; the same settings give the same files.

    Attributes:
        train_per_class, val_per_class, test_per_class: videos of each of the eight classes.
        size: (width, height) in pixels, both even.
        num_frames, fps: length and rate of every video.
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
        """Videos of each class in a split."""
        return {"train": self.train_per_class, "val": self.val_per_class, "test": self.test_per_class}[split]


@dataclass(frozen=True)
class _Task:
    split: str
    label: int
    number: int

    @property
    def path(self) -> str:
        return f"videos/{self.split}/{CLASSES[self.label]}_{self.number:04d}.mp4"


def make_demo_data(
    directory: str | Path, *, settings: DemoSettings | None = None, num_threads: int = 2, show_progress: bool = True
) -> Path:
    """Make the demo data in `directory`: H.264 videos, the lists train.csv, val.csv and test.csv, and classes.json.

    Eight camera motions over photographs that ship in wheels; training, validation and test show different photographs.
    Paths in the lists are relative to `directory`. Made beside and renamed, so that `directory` is whole or absent;
    data of the same settings that are there already are kept.

    Raises:
        DataError: `directory` holds something else or can't be made, or the photographs are not installed.
    """
    settings = settings or DemoSettings()
    directory = Path(directory)
    if _is_made(directory, settings):
        return directory
    photos = {split: load_photographs(split) for split in SPLITS}
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise DataError(f"{directory}: can't write there: {error.strerror or error}") from None
    try:
        _make_videos(beside, settings, photos, num_threads, show_progress)
        _write_lists(beside, settings)
        beside.chmod(0o755)
        if directory.exists():
            directory.rmdir()  # empty: seen above
        beside.rename(directory)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return directory


def _is_made(directory: Path, settings: DemoSettings) -> bool:
    if not directory.exists():
        return False
    if not directory.is_dir():
        raise DataError(f"{directory}: is a file, expected a folder for the demo data")
    if not any(directory.iterdir()):
        return False
    record = directory / _SETTINGS_FILE
    if not record.is_file():
        raise DataError(f"{directory}: is not empty and holds no demo data; choose another folder")
    if record.read_text(encoding="utf8") != _record(settings):
        raise DataError(f"{directory}: holds demo data of other settings; choose another folder or remove it")
    return True


def _record(settings: DemoSettings) -> str:
    photographs = {split: list(PHOTOGRAPHS[split]) for split in SPLITS}
    content = {"version": _VERSION, **asdict(settings), "photographs": photographs}
    return str(simplejson.dumps(content, indent=2)) + "\n"


def _tasks(settings: DemoSettings, split: str) -> Iterator[_Task]:
    for number in range(settings.per_class(split)):
        for label in range(len(CLASSES)):
            yield _Task(split, label, number)


def _make_videos(
    root: Path, settings: DemoSettings, photos: dict[str, list[Image.Image]], num_threads: int, show_progress: bool
) -> None:
    tasks = [task for split in SPLITS for task in _tasks(settings, split)]
    for split in SPLITS:
        (root / "videos" / split).mkdir(parents=True)

    def make(task: _Task) -> None:
        # Drawing and encoding both leave Python's lock, so that threads do.
        random = np.random.default_rng([settings.seed, SPLITS.index(task.split), task.label, task.number])
        photo = photos[task.split][random.integers(len(photos[task.split]))]
        pictures = render_video(task.label, photo, settings.size, settings.num_frames, random)
        encode_video(root / task.path, pictures, fps=settings.fps)

    with Progress(disable=not show_progress, transient=True) as progress, ThreadPoolExecutor(num_threads) as pool:
        bar = progress.add_task("demo videos", total=len(tasks))
        try:
            for _ in pool.map(make, tasks):
                progress.advance(bar)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def encode_video(path: str | Path, pictures: Sequence[Picture], *, fps: int) -> None:
    """Write RGB pictures of one even size as H.264 in mp4; the same pictures give the same bytes."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=fps, options=_REPEATABLE)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        # Converted here in one thread: left to the encoder, several do it, and the bytes vary from run to run.
        reformatter = VideoReformatter()
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(reformatter.reformat(frame, format="yuv420p", threads=1)))
        container.mux(stream.encode(None))


def _write_lists(root: Path, settings: DemoSettings) -> None:
    for split in SPLITS:
        lines = [f"{task.path} {task.label}\n" for task in _tasks(settings, split)]
        (root / f"{split}.csv").write_text("".join(lines), encoding="utf8")
    (root / "classes.json").write_text(simplejson.dumps(CLASSES, indent=2) + "\n", encoding="utf8")
    (root / _SETTINGS_FILE).write_text(_record(settings), encoding="utf8")
