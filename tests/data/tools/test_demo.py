import dataclasses
import hashlib
import json

import pytest

from pytorchvideo_autox3d.data import open_video, read_list
from pytorchvideo_autox3d.data.tools import DEMO_CLASSES, DemoSettings, make_demo_data
from pytorchvideo_autox3d.data.tools import demo as demo_module
from pytorchvideo_autox3d.errors import DataError

SMALL = DemoSettings(seed=3, train_per_class=2, val_per_class=1, test_per_class=1, size=(48, 32), num_frames=6, fps=12)


def make(directory, settings=SMALL):
    return make_demo_data(directory, settings=settings, show_progress=False)


def digest(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make(tmp_path_factory.mktemp("demo") / "data")


def test_lists_and_videos(data):
    assert json.loads((data / "classes.json").read_text()) == list(DEMO_CLASSES)
    for split, count in (("train", 16), ("val", 8), ("test", 8)):
        manifest = read_list(str(data / f"{split}.csv"), path_prefix=str(data), num_classes=8)
        assert len(manifest) == count
        assert sorted(manifest.labels) == sorted(list(range(8)) * (count // 8))
        assert all(DEMO_CLASSES[record.label] in record.path for record in manifest)
    with open_video(manifest.record(0).path) as video:
        metadata = video.metadata()
        assert (metadata.num_frames, metadata.fps, metadata.width, metadata.height) == (6, 12, 48, 32)
        assert video.read(range(6)).float().std() > 10


def test_same_seed_same_bytes(data, tmp_path):
    assert digest(make(tmp_path / "again")) == digest(data)
    other = digest(make(tmp_path / "other", dataclasses.replace(SMALL, seed=4)))
    assert other["videos/train/pan_left_0000.mp4"] != digest(data)["videos/train/pan_left_0000.mp4"]


def test_existing_data_are_kept(data, monkeypatch):
    monkeypatch.setattr(demo_module, "encode_video", None)
    assert make(data) == data


def test_foreign_folders_are_refused(data, tmp_path):
    with pytest.raises(DataError, match="holds demo data of other settings"):
        make(data, dataclasses.replace(SMALL, seed=9))
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="is not empty and holds no demo data"):
        make(tmp_path)
    with pytest.raises(DataError, match="is a file"):
        make(tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_is_left_of_a_failed_run(tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(demo_module, "encode_video", fails)
    with pytest.raises(DataError, match="data: can't make the demo data: disk full"):
        make(tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"train_per_class": 0}, {"seed": -1}, {"size": (33, 48)}, {"size": (8, 8)}])
def test_wrong_settings(change):
    with pytest.raises(DataError, match="demo data"):
        dataclasses.replace(SMALL, **change)
