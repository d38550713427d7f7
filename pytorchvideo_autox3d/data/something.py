"""Something-Something-V2: its json lists over webm files or extracted frames, sampling by segments, mirrored labels."""

from __future__ import annotations

import os
import re

from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.data.classes import UNNAMED, ClassNames
from pytorchvideo_autox3d.data.dataset import VideoDataset
from pytorchvideo_autox3d.data.frames import read_frame_list, with_frames
from pytorchvideo_autox3d.data.json_file import read_json
from pytorchvideo_autox3d.data.manifest import Manifest, SourceLocations
from pytorchvideo_autox3d.errors import DataError, NoListError
from pytorchvideo_autox3d.registry import DATASET_REGISTRY

# Tests are on the validation videos, as in the published figures: the test videos have no public labels.
_SPLITS = {"train": "train", "val": "validation", "test": "validation"}
_SIDES = {"left": "right", "right": "left"}


@DATASET_REGISTRY.register(name="ssv2")
class SomethingSomething(VideoDataset):
    """Something-Something-V2; arguments and items as in `VideoDataset`.

    The T frames come from T equal segments of the whole video, one at random of each in training and the middle one in
    validation, as PySlowFast samples it; the sampling rate has no effect. The clips of a test take other frames of each
    segment, where PySlowFast's are all the same; a single clip is the same as there.

    A clip that is mirrored changes its class with it where the template tells left from right.
    """

    own_sampling = "segments"

    @classmethod
    def find(
        cls,
        folder: str,
        mode: str,
        *,
        path_prefix: str = "",
        num_classes: int | None = None,
        split: int = 1,
        classes: ClassNames = UNNAMED,
    ) -> Manifest:
        """The videos of a mode, from something-something-v2-{labels,train,validation}.json in `folder`.

        The files may also be called labels.json and so on, as in later releases. The videos are
        `<path_prefix>/<id>.webm`, or the extracted frames that `<mode>.csv` (val.csv in tests) lists, where there is
        one.

        Args:
            folder: where the lists are.
            mode: "train", "val" or "test".
            path_prefix: joined before the paths of the videos.
            num_classes: how many classes there must be; None takes any number.
            split: has no effect.
            classes: those of a network that is tested, which the data set's must agree with.
        Raises:
            DataError: a list is missing or has a fault; names the file and the line.
        """
        names = _templates(folder)
        names.check_agrees(classes)
        path = _file(folder, _SPLITS[mode])
        entries = _labelled(path, names)
        locations = SourceLocations.of(path, range(1, len(entries) + 1), unit="entry")
        if num_classes is not None and num_classes != len(names):
            raise DataError(f"{folder}: has {len(names)} classes, expected {num_classes}")
        frame_list = os.path.join(folder, "train.csv" if mode == "train" else "val.csv")
        if not g_pathmgr.exists(frame_list):
            items = ((f"{video}.webm", label) for video, label in entries)
            return Manifest.from_items(items, name=path, prefix=path_prefix, classes=names, locations=locations)
        images = read_frame_list(frame_list)
        # A video that the frame list lacks stays in the list, as a bad one that is counted and named.
        videos = ((video, label, images.get(video, ())) for video, label in entries)
        return with_frames(videos, name=frame_list, prefix=path_prefix, classes=names, locations=locations)

    def _label(self, label: int, flipped: bool) -> int:
        return mirrored_label(label, self.manifest.classes) if flipped else label


def mirrored_label(label: int, classes: ClassNames) -> int:
    """The class of a mirrored clip: the one whose template has left and right exchanged, or else the same."""
    swapped = re.sub(r"\b(left|right)\b", lambda found: _SIDES[found.group()], classes.name(label))
    return classes.number(swapped) if swapped in classes else label


def _templates(folder: str) -> ClassNames:
    path = _file(folder, "labels")
    numbers = read_json(path)
    if not isinstance(numbers, dict):
        raise DataError(f"{path}: expected the templates of the labels with their numbers")
    return ClassNames.from_numbers(numbers, path)


def _labelled(path: str, templates: ClassNames) -> list[tuple[str, int]]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{path}: expected a list of videos, found {type(entries).__name__}")
    items = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or "id" not in entry or "template" not in entry:
            raise DataError(f"{path}: entry {number}: expected an id and a template, found {str(entry)[:80]}")
        template = str(entry["template"]).replace("[", "").replace("]", "")
        if template not in templates:
            raise DataError(
                f"{path}: entry {number}: video {entry['id']}: the template {template!r} is not among the labels"
            )
        items.append((str(entry["id"]), templates.number(template)))
    return items


def _file(folder: str, part: str) -> str:
    for name in (f"something-something-v2-{part}.json", f"{part}.json"):
        if g_pathmgr.exists(os.path.join(folder, name)):
            return os.path.join(folder, name)
    raise NoListError(f"{folder}: holds neither something-something-v2-{part}.json nor {part}.json")
