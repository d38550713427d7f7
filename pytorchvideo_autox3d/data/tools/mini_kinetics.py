"""Mini-Kinetics-200, as S3D's authors define it: the 200 classes with most training videos, 400 and 25 of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pytorchvideo_autox3d.data.classes import CLASSES_FILE, ClassNames
from pytorchvideo_autox3d.data.manifest import Manifest, refuse_to_replace, write_manifest
from pytorchvideo_autox3d.errors import DataError


@dataclass(frozen=True)
class MiniKinetics:
    """How a small Kinetics is drawn; the same numbers give the same lists.

    Attributes:
        num_classes: how many classes are kept, those with most training videos; where two have equally many, the lower
            number.
        train_per_class, val_per_class: how many videos are drawn from each at random.
        seed: of the draws.
    """

    num_classes: int = 200
    train_per_class: int = 400
    val_per_class: int = 25
    seed: int = 0


def make_mini_kinetics(train: Manifest, val: Manifest, output: str | Path, settings: MiniKinetics) -> dict[int, int]:
    """Write train.csv, val.csv, test.csv (the validation videos) and classes.json to `output`.

    Classes get new numbers, in the order of their old ones. classes.json has their names, or their old numbers where no
    names are known.

    Args:
        train, val: Kinetics' lists.
        output: the folder of the new ones.
        settings: how many classes, and videos of each.
    Returns:
        {old label: new label}.

    Raises:
        DataError: there are too few classes, or a chosen class has too few videos; names it. Also where a file would
            replace one of the lists that are read.
    """
    present, counts = np.unique(train.labels, return_counts=True)
    if len(present) < settings.num_classes:
        raise DataError(f"{train.name}: has {len(present)} classes, expected {settings.num_classes} or more")
    chosen = np.sort(present[np.lexsort((present, -counts))[: settings.num_classes]])
    labels = {int(old): new for new, old in enumerate(chosen)}
    output = Path(output)
    chosen_train = _drawn(train, labels, settings.train_per_class, [settings.seed, 0])
    chosen_val = _drawn(val, labels, settings.val_per_class, [settings.seed, 1])
    for name in ("train.csv", "val.csv", "test.csv", CLASSES_FILE):
        refuse_to_replace(output / name, train, val)
    for name, part in (("train", chosen_train), ("val", chosen_val), ("test", chosen_val)):
        write_manifest(output / f"{name}.csv", part)
    ClassNames(tuple(_name(train.classes, old) for old in labels)).write(output)
    return labels


def _drawn(source: Manifest, labels: dict[int, int], count: int, seed: Sequence[int]) -> Manifest:
    random = np.random.default_rng(seed)
    items: list[tuple[str, int]] = []
    for old, new in labels.items():
        videos: npt.NDArray[np.int64] = np.flatnonzero(source.labels == old)
        if len(videos) < count:
            raise DataError(f"{source.name}: class {old} has {len(videos)} videos, expected {count} or more")
        items += [(source.listed(int(i)), new) for i in np.sort(random.choice(videos, count, replace=False))]
    return Manifest.from_items(items, name=source.name, prefix=source.prefix)


def _name(classes: ClassNames, old: int) -> str:
    return classes.name(old) if classes else str(old)
