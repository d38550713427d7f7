"""Makes synthetic data sets: video files, lists, classes, and a record of what they were made from."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import simplejson
from av.video.reformatter import VideoReformatter
from rich.progress import Progress

from pytorchvideo_autox3d.data.parallel import in_processes
from pytorchvideo_autox3d.data.tools.demo_motion import Picture, load_photographs
from pytorchvideo_autox3d.errors import DataError

SPLITS = ("train", "val", "test")
# Fewer videos than that are made sooner than processes start.
_MANY = 300
# x264 with several threads, or looking ahead over pictures this small, gives other bytes from run to run.
_REPEATABLE = {
    "preset": "veryfast",
    "threads": "1",
    "flags": "+bitexact",
    "x264-params": "mbtree=0:weightp=0:b-adapt=0:scenecut=0",
}


@dataclass(frozen=True)
class VideoTask:
    """One video to make: its split, its class and its number within the two."""

    split: str
    label: int
    number: int

    def path(self, classes: Sequence[str]) -> str:
        """The video's path, relative to the data's folder."""
        return f"videos/{self.split}/{classes[self.label]}_{self.number:04d}.mp4"


@dataclass(frozen=True)
class DataDescription:
    """What a synthetic data set holds.

    Attributes:
        kind: what messages call it, such as "demo data".
        classes: names by label.
        per_class: videos of each class, by split.
        record_file: name of the file that keeps `record`.
        record: the settings; data of the same record are the same files.
    """

    kind: str
    classes: tuple[str, ...]
    per_class: Mapping[str, int]
    record_file: str
    record: Mapping[str, Any]

    def tasks(self, split: str) -> list[VideoTask]:
        """The videos of a split in the order of its list: one of each class, then another of each, and so on."""
        count = self.per_class[split]
        return [VideoTask(split, label, number) for number in range(count) for label in range(len(self.classes))]

    def record_text(self) -> str:
        """The content of the record's file."""
        return str(simplejson.dumps(self.record, indent=2)) + "\n"


def make_data_set(
    directory: Path,
    description: DataDescription,
    make: Callable[[VideoTask, Path], None],
    *,
    num_workers: int,
    show_progress: bool,
) -> Path:
    """Make the data in `directory`: videos, the lists train.csv, val.csv and test.csv, and classes.json.

    The data are made in a folder beside `directory` that is renamed at the end, so an interrupted run leaves no
    `directory`. Data of the same record that are there already are kept.

    Args:
        directory: where the data go; absent, empty, or with data of the same record.
        description: what to make.
        make: makes one video at a path, of the photographs; must be picklable.
        num_workers: processes that make videos where these are many; 0: none but this one.
        show_progress: whether to show a bar.

    Returns:
        `directory`.

    Raises:
        DataError: `directory` holds something else or can't be made, or the photographs are not installed.
    """
    if _is_made(directory, description):
        return directory
    for split in SPLITS:  # whether they are installed, before anything is written
        load_photographs(split)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise DataError(f"{directory}: can't write there: {error.strerror or error}") from None
    try:
        _make_videos(beside, description, make, num_workers, show_progress)
        _write_lists(beside, description)
        beside.chmod(0o755)
        if directory.exists():
            directory.rmdir()  # empty: seen above
        beside.rename(directory)
    except BaseException as error:
        shutil.rmtree(beside, ignore_errors=True)
        if isinstance(error, OSError):  # of PyAV too
            raise DataError(f"{directory}: can't make the {description.kind}: {error.strerror or error}") from None
        raise
    return directory


def _is_made(directory: Path, description: DataDescription) -> bool:
    kind = description.kind
    if not directory.exists():
        return False
    if not directory.is_dir():
        raise DataError(f"{directory}: is a file, expected a folder for the {kind}")
    if not any(directory.iterdir()):
        return False
    record = directory / description.record_file
    if not record.is_file():
        raise DataError(f"{directory}: is not empty and holds no {kind}; choose another folder")
    if record.read_text(encoding="utf8") != description.record_text():
        raise DataError(f"{directory}: holds {kind} of other settings; choose another folder or remove it")
    return True


def _make_videos(
    root: Path,
    description: DataDescription,
    make: Callable[[VideoTask, Path], None],
    num_workers: int,
    show_progress: bool,
) -> None:
    tasks = [task for split in SPLITS for task in description.tasks(split)]
    for split in SPLITS:
        (root / "videos" / split).mkdir(parents=True)
    # Processes, as drawing hardly leaves Python's lock: two threads took as long as one.
    made = in_processes(
        partial(_made, make, root, description.classes), tasks, workers=num_workers if len(tasks) >= _MANY else 0
    )
    with Progress(disable=not show_progress, transient=True) as progress:
        bar = progress.add_task(f"{description.kind.removesuffix(' data')} videos", total=len(tasks))
        for task, is_made in made:
            if not is_made:
                raise DataError(f"{task.path(description.classes)}: the process that made it died")
            progress.advance(bar)


def _made(make: Callable[[VideoTask, Path], None], root: Path, classes: Sequence[str], task: VideoTask) -> bool:
    make(task, root / task.path(classes))
    return True


def _write_lists(root: Path, description: DataDescription) -> None:
    for split in SPLITS:
        lines = [f"{task.path(description.classes)} {task.label}\n" for task in description.tasks(split)]
        (root / f"{split}.csv").write_text("".join(lines), encoding="utf8")
    (root / "classes.json").write_text(simplejson.dumps(description.classes, indent=2) + "\n", encoding="utf8")
    (root / description.record_file).write_text(description.record_text(), encoding="utf8")


def encode_video(path: str | Path, pictures: Sequence[Picture], *, fps: int, crf: int = 20) -> None:
    """Write RGB pictures of one even size as H.264 in mp4; the same pictures give the same bytes.

    Args:
        path: the file.
        pictures: uint8 (H, W, 3), H and W even.
        fps: frames a second.
        crf: x264's constant rate factor, 0 to 51: the higher, the smaller the file and the worse the pictures.
    """
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=fps, options={**_REPEATABLE, "crf": str(crf)})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        # Converted here in one thread: left to the encoder, several do it, and the bytes vary from run to run.
        reformatter = VideoReformatter()
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(reformatter.reformat(frame, format="yuv420p", threads=1)))
        container.mux(stream.encode(None))
