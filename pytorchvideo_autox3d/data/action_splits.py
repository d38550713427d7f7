"""UCF101 and HMDB51 with their published splits, on which models are fine-tuned first."""

from __future__ import annotations

import os

from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.data.classes import UNNAMED, ClassNames
from pytorchvideo_autox3d.data.csv_list import read_lines
from pytorchvideo_autox3d.data.dataset import VideoDataset
from pytorchvideo_autox3d.data.manifest import Manifest, SourceLocations
from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.registry import DATASET_REGISTRY

_SPLITS = (1, 2, 3)
# HMDB51's marks of a video's part in a split; 0 is neither.
_MARKS = {"train": "1", "val": "2", "test": "2"}


@DATASET_REGISTRY.register(name="ucf101")
class UCF101(VideoDataset):
    """UCF101; arguments and items as in `VideoDataset`."""

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
        """The videos of a split: classInd.txt, trainlist0<split>.txt and testlist0<split>.txt in `folder`.

        Args:
            folder: where the lists are.
            mode: "train", "val" or "test".
            path_prefix: joined before the paths of the videos.
            num_classes: how many classes there must be; None takes any number.
            split: which of the published splits.
            classes: those of a network that is tested, which the data set's must agree with.
        Raises:
            DataError: a list is missing or has a fault; names the file and the line.
        """
        _check_split(split)
        known = _class_names(os.path.join(folder, "classInd.txt"))
        known.check_agrees(classes)
        path = os.path.join(folder, f"{'train' if mode == 'train' else 'test'}list0{split}.txt")
        items, lines = [], []
        for line, text in read_lines(path):
            video = text.split()[0]  # training lists repeat the class after it, test lists don't
            name = video.partition("/")[0]
            if name not in known:
                raise DataError(f"{path}:{line}: {name!r} is no class of classInd.txt")
            items.append((video, known.number(name)))
            lines.append(line)
        _check_count(path, len(known), num_classes)
        return Manifest.from_items(
            items, name=path, prefix=path_prefix, classes=known, locations=SourceLocations.of(path, lines)
        )


@DATASET_REGISTRY.register(name="hmdb51")
class HMDB51(VideoDataset):
    """HMDB51; arguments and items as in `VideoDataset`."""

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
        """The videos of a split: <class>_test_split<split>.txt in `folder`, over `<path_prefix>/<class>/<video>`.

        Args:
            folder: where the lists are.
            mode: "train", "val" or "test".
            path_prefix: joined before the paths of the videos.
            num_classes: how many classes there must be; None takes any number.
            split: which of the published splits.
            classes: those of a network that is tested, which the data set's must agree with.
        Raises:
            DataError: a list is missing or has a fault; names the file and the line.
        """
        _check_split(split)
        suffix = f"_test_split{split}.txt"
        name = os.path.join(folder, f"*{suffix}")
        known = ClassNames(
            tuple(sorted(file.removesuffix(suffix) for file in _files(folder) if file.endswith(suffix))), name
        )
        if not known:
            raise DataError(f"{name}: no such lists of videos")
        known.check_agrees(classes)
        _check_count(name, len(known), num_classes)
        paths = [os.path.join(folder, class_name + suffix) for class_name in known]
        items, lines = [], []
        for label, (class_name, path) in enumerate(zip(known, paths, strict=True)):
            for line, text in read_lines(path):
                video, _, mark = text.rpartition(" ")
                if mark not in ("0", "1", "2"):
                    raise DataError(f"{path}:{line}: expected a video and 0, 1 or 2, found {text[:80]!r}")
                if mark == _MARKS[mode]:
                    items.append((f"{class_name}/{video.strip()}", label))
                    lines.append(line)
        locations = SourceLocations.of(paths, lines)
        return Manifest.from_items(items, name=name, prefix=path_prefix, classes=known, locations=locations)


def _class_names(path: str) -> ClassNames:
    """The names of classInd.txt, which counts from 1, in order."""
    names: dict[str, int] = {}
    for line, text in read_lines(path):
        number, _, name = text.partition(" ")
        if number != str(len(names) + 1) or not name.strip() or name.strip() in names:
            raise DataError(f"{path}:{line}: expected {len(names) + 1} and the name of a class, found {text[:80]!r}")
        names[name.strip()] = len(names)
    return ClassNames(tuple(names), path)


def _files(folder: str) -> list[str]:
    try:
        return list(g_pathmgr.ls(folder))
    except OSError as error:
        raise DataError(f"{folder}: can't read the folder of lists: {error.strerror or error}") from None


def _check_split(split: int) -> None:
    if split not in _SPLITS:
        raise DataError(f"the split (AUTOX3D.DATA_SPLIT) is {split}, expected one of 1, 2, 3")


def _check_count(name: str, found: int, num_classes: int | None) -> None:
    if num_classes is not None and num_classes != found:
        raise DataError(f"{name}: has {found} classes, expected {num_classes}")
