import pytest

from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.data import UNNAMED, ClassNames, Manifest
from pytorchvideo_autox3d.errors import DataError, NoListError
from pytorchvideo_autox3d.jobs.build import read_lists, spare_classes


def manifest(labels, names=()):
    classes = ClassNames(tuple(names)) if names else UNNAMED
    return Manifest.from_items(
        [(f"{n}.mp4", label) for n, label in enumerate(labels)], name="train.csv", classes=classes
    )


@pytest.mark.parametrize(
    ("labels", "names", "num_classes", "warned"),
    [
        ([0, 3], (), 4, 0),
        ([0, 3], (), 5, 0),  # a list of numbers may lack the last
        ([0, 3], (), 6, 4),
        ([0, 3], "abcd", 4, 0),
        ([0, 3], "abcd", 5, 4),  # a list of names lacks none
        ([0], "abcd", 4, 0),
    ],
)
def test_classes_too_many(labels, names, num_classes, warned):
    cfg = load_cfg(config_path("autox3d/S.yaml"), ["MODEL.NUM_CLASSES", num_classes])
    said = f"MODEL.NUM_CLASSES is {num_classes}, but train.csv has {warned} classes" if warned else ""
    assert spare_classes(cfg, manifest(labels, names)) == said


def test_one_video_of_the_first_suffices(tmp_path):
    (tmp_path / "train.csv").write_text("".join(f"{n}.mp4 0\n" for n in range(9)))
    keys = {"DATA.PATH_TO_DATA_DIR": tmp_path, "DATA.PATH_PREFIX": tmp_path, "TRAIN.BATCH_SIZE": 9}
    cfg = load_cfg(config_path("autox3d/S.yaml"), [str(item) for pair in keys.items() for item in pair])
    (tmp_path / "8.mp4").touch()  # the ninth
    with pytest.raises(DataError, match=r"DATA\.PATH_PREFIX '.*': none of the first videos of .*train\.csv is there"):
        read_lists(cfg, ["train"])
    (tmp_path / "7.mp4").touch()
    assert len(read_lists(cfg, ["train"])["train"]) == 9


def test_a_missing_folder_is_told_once_for_all_lists(tmp_path):
    cfg = load_cfg(config_path("autox3d/S.yaml"), ["DATA.PATH_TO_DATA_DIR", str(tmp_path / "gone")])
    with pytest.raises(NoListError, match=r"^DATA\.PATH_TO_DATA_DIR: .*gone: no such folder$"):
        read_lists(cfg, ["train", "val", "test"])


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({}, "; TRAIN.EVAL_PERIOD 0 does without it"),
        ({"without": {"val": "LESS"}}, "; LESS does without it"),
        ({"without": {}}, ""),
    ],
)
def test_a_missing_list_is_told_with_what_needs_none(tmp_path, options, hint):
    cfg = load_cfg(config_path("autox3d/S.yaml"), ["DATA.PATH_TO_DATA_DIR", str(tmp_path)])
    with pytest.raises(NoListError, match=f"no val.csv, no val.json and no folder val of class folders{hint}$"):
        read_lists(cfg, ["val"], **options)
