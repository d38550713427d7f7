"""UCF101 and HMDB51 with their published splits, on which models are fine-tuned first."""

from __future__ import annotations

import os

from iopath.common.file_io import g_pathmgr

from pytorchvideo_autox3d.data.dataset import Kinetics
from pytorchvideo_autox3d.data.manifest import Manifest, read_lines
from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.registry import DATASET_REGISTRY

_SPLITS = (1, 2, 3)
# HMDB51's marks of a video's part in a split; 0 is neither.
_MARKS = {"train": "1", "val": "2", "test": "2"}


@DATASET_REGISTRY.register(name="ucf101")
class UCF101(Kinetics):
    """UCF101; arguments and items as in `Kinetics`."""

    @classmethod
    def find(
        cls, folder: str, mode: str, *, path_prefix: str = "", num_classes: int | None = None, split: int = 1
    ) -> Manifest:
        """The videos of a split: classInd.txt, trainlist0<split>.txt and testlist0<split>.txt in `folder`."""
        _check_split(split)
        numbers = {}
        for _, line in read_lines(os.path.join(folder, "classInd.txt")):
            number, _, name = line.partition(" ")
            numbers[name.strip()] = int(number) - 1  # counted from 1 there
        path = os.path.join(folder, f"{'train' if mode == 'train' else 'test'}list0{split}.txt")
        items = []
        for number_of_line, line in read_lines(path):
            video = line.split()[0]  # training lists repeat the class after it, test lists don't
            name = video.partition("/")[0]
            if name not in numbers:
                raise DataError(f"{path}:{number_of_line}: {name!r} is no class of classInd.txt")
            items.append((video, numbers[name]))
        classes = sorted(numbers, key=numbers.__getitem__)
        return _of(items, classes, path, path_prefix, num_classes)


@DATASET_REGISTRY.register(name="hmdb51")
class HMDB51(Kinetics):
    """HMDB51; arguments and items as in `Kinetics`."""

    @classmethod
    def find(
        cls, folder: str, mode: str, *, path_prefix: str = "", num_classes: int | None = None, split: int = 1
    ) -> Manifest:
        """The videos of a split: <class>_test_split<split>.txt in `folder`, over `<path_prefix>/<class>/<video>`."""
        _check_split(split)
        suffix = f"_test_split{split}.txt"
        classes = sorted(name.removesuffix(suffix) for name in g_pathmgr.ls(folder) if name.endswith(suffix))
        items = []
        for label, name in enumerate(classes):
            path = os.path.join(folder, name + suffix)
            for number, line in read_lines(path):
                video, _, mark = line.rpartition(" ")
                if mark not in ("0", "1", "2"):
                    raise DataError(f"{path}:{number}: expected a video and 0, 1 or 2, found {line[:80]!r}")
                if mark == _MARKS[mode]:
                    items.append((f"{name}/{video.strip()}", label))
        return _of(items, classes, os.path.join(folder, f"*{suffix}"), path_prefix, num_classes)


def _check_split(split: int) -> None:
    if split not in _SPLITS:
        raise DataError(f"the split is {split}, expected one of 1, 2, 3")


def _of(items: list[tuple[str, int]], classes: list[str], name: str, prefix: str, num_classes: int | None) -> Manifest:
    if num_classes is not None and num_classes != len(classes):
        raise DataError(f"{name}: has {len(classes)} classes, expected {num_classes}")
    return Manifest.from_items(items, name=name, prefix=prefix, classes=classes)
