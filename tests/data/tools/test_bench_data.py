import dataclasses
import hashlib
import json

import pytest

from pytorchvideo_autox3d.cli import main
from pytorchvideo_autox3d.data import open_video, read_list
from pytorchvideo_autox3d.data.tools import BENCH_CLASSES, BenchSettings, generated, make_bench_data
from pytorchvideo_autox3d.data.tools.demo_motion import PHOTOGRAPHS
from pytorchvideo_autox3d.errors import DataError

SMALL = BenchSettings(seed=3, train_per_class=2, val_per_class=1, test_per_class=1, num_frames=5, fps=12)


def digest(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_bench_data(tmp_path_factory.mktemp("bench") / "data", settings=SMALL, show_progress=False)


def test_lists_videos_and_record(data):
    assert json.loads((data / "classes.json").read_text()) == list(BENCH_CLASSES)
    for split, count in (("train", 48), ("val", 24), ("test", 24)):
        manifest = read_list(str(data / f"{split}.csv"), path_prefix=str(data), num_classes=24)
        assert len(manifest) == count
        assert all(BENCH_CLASSES[record.label] in record.path for record in manifest)
    with open_video(manifest.record(0).path) as video:
        metadata = video.metadata()
        assert (metadata.num_frames, metadata.fps, metadata.width, metadata.height) == (5, 12, 28, 28)
    record = json.loads((data / "bench.json").read_text())
    assert record["seed"] == 3
    assert record["photographs"]["test"] == list(PHOTOGRAPHS["test"])


def test_same_seed_same_bytes(data, tmp_path, monkeypatch):
    monkeypatch.setattr(generated, "_MANY", 1)
    again = make_bench_data(tmp_path / "again", settings=SMALL, num_workers=2, show_progress=False)
    assert digest(again) == digest(data)


def test_default_size_meets_the_need():
    settings = BenchSettings()
    assert 24 * settings.test_per_class >= 2000
    assert 24 * settings.val_per_class >= 1000


@pytest.mark.parametrize("change", [{"val_per_class": 0}, {"seed": -1}, {"size": 27}, {"size": 8}, {"num_frames": 1}])
def test_wrong_settings(change):
    with pytest.raises(DataError, match="bench data"):
        dataclasses.replace(SMALL, **change)


def test_command(tmp_path, capsys):
    counts = ["--train-per-class", "1", "--val-per-class", "1", "--test-per-class", "1"]
    assert main(["make-bench-data", str(tmp_path / "data"), *counts]) == 0
    assert "24 classes" in capsys.readouterr().out
    assert main(["make-bench-data", str(tmp_path / "data"), "--seed", "1"]) == 1
    assert "holds bench data of other settings" in capsys.readouterr().err
