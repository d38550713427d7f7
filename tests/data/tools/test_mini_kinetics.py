import dataclasses
import json

import pytest

from pytorchvideo_autox3d.data import ClassNames, Manifest, read_list
from pytorchvideo_autox3d.data.tools.mini_kinetics import MiniKinetics, make_mini_kinetics
from pytorchvideo_autox3d.errors import DataError

COUNTS = [5, 9, 7, 9, 2, 7]
SMALL = MiniKinetics(num_classes=3, train_per_class=4, val_per_class=2)


def listed(name, counts):
    items = [(f"{name}/{label}_{n}.mp4", label) for n in range(max(counts)) for label, c in enumerate(counts) if n < c]
    return Manifest.from_items(items, name=name, classes=ClassNames(tuple(f"class {n}" for n in range(len(counts)))))


def make(output, settings=SMALL, train=COUNTS, val=(3,) * 6):
    return make_mini_kinetics(listed("train", train), listed("val", val), output, settings)


def test_the_largest_classes_numbered_anew(tmp_path):
    # 9 videos: classes 1 and 3; of the two with 7 the lower, 2.
    assert make(tmp_path) == {1: 0, 2: 1, 3: 2}
    train = read_list(str(tmp_path / "train.csv"), num_classes=3)
    assert [int((train.label == label).sum()) for label in range(3)] == [4, 4, 4]
    for record in train:
        assert record.path.startswith(f"train/{[1, 2, 3][record.label]}_")
    assert len(set(train.paths)) == 12
    val = read_list(str(tmp_path / "val.csv"))
    assert len(val) == 6
    assert (tmp_path / "test.csv").read_text() == (tmp_path / "val.csv").read_text()
    assert json.loads((tmp_path / "classes.json").read_text()) == {"class 1": 0, "class 2": 1, "class 3": 2}


def test_the_seed_decides(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make(tmp_path / name, MiniKinetics(3, 4, 2, seed=seed))
    a, b, c = ((tmp_path / name / "train.csv").read_text() for name in "abc")
    assert a == b != c


def test_too_few(tmp_path):
    with pytest.raises(DataError, match="has 6 classes, expected 7 or more"):
        make(tmp_path, MiniKinetics(7, 1, 1))
    with pytest.raises(DataError, match="train: class 2 has 7 videos, expected 8 or more"):
        make(tmp_path, MiniKinetics(3, 8, 2))
    with pytest.raises(DataError, match="val: class 1 has 1 videos, expected 2 or more"):
        make(tmp_path, val=(3, 1, 3, 3, 3, 3))


@pytest.mark.parametrize("name", ["val.csv", "classes.json"])
def test_what_is_read_is_not_written_over(tmp_path, name):
    (tmp_path / name).write_text("kept")
    read = {"val.csv": "elsewhere.csv", "classes.json": "elsewhere.json"} | {name: str(tmp_path / name)}
    classes = ClassNames(tuple(f"class {n}" for n in range(6)), read["classes.json"])
    val = dataclasses.replace(listed("val", (3,) * 6), name=read["val.csv"], classes=classes)
    with pytest.raises(DataError, match=f"{name}: is itself a list that is read"):
        make_mini_kinetics(listed("train", COUNTS), val, tmp_path, SMALL)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]
