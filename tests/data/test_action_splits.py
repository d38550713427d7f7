import pytest

from pytorchvideo_autox3d.data import HMDB51, UCF101
from pytorchvideo_autox3d.errors import DataError, DecodeError
from pytorchvideo_autox3d.registry import DATASET_REGISTRY


def pairs(manifest):
    return [(manifest.listed(i), int(manifest.labels[i])) for i in range(len(manifest))]


@pytest.fixture
def ucf(tmp_path):
    (tmp_path / "classInd.txt").write_text("1 ApplyEyeMakeup\r\n2 Archery\r\n")
    (tmp_path / "trainlist02.txt").write_text("ApplyEyeMakeup/v_1.avi 1\r\nArchery/v_2.avi 2\r\n")
    (tmp_path / "testlist02.txt").write_text("Archery/v_3.avi\n")
    return tmp_path


def test_ucf101(ucf):
    assert pairs(UCF101.find(str(ucf), "train", split=2)) == [("ApplyEyeMakeup/v_1.avi", 0), ("Archery/v_2.avi", 1)]
    assert pairs(UCF101.find(str(ucf), "test", split=2)) == [("Archery/v_3.avi", 1)]
    assert UCF101.find(str(ucf), "val", split=2).classes.names == ("ApplyEyeMakeup", "Archery")
    assert DATASET_REGISTRY.get("ucf101") is UCF101


def test_faults_of_ucf101(ucf):
    with pytest.raises(DataError, match=r"trainlist01\.txt: no such list"):
        UCF101.find(str(ucf), "train")
    with pytest.raises(DataError, match="has 2 classes, expected 101"):
        UCF101.find(str(ucf), "train", split=2, num_classes=101)
    with pytest.raises(DataError, match=r"the split \(AUTOX3D\.DATA_SPLIT\) is 4"):
        UCF101.find(str(ucf), "train", split=4)
    (ucf / "testlist02.txt").write_text("Archery/v_3.avi\nChess/v_4.avi\n")
    with pytest.raises(DataError, match=r"testlist02\.txt:2: 'Chess' is no class"):
        UCF101.find(str(ucf), "test", split=2)


@pytest.mark.parametrize("second", ["3 Archery", "two Archery", "2", "2 ApplyEyeMakeup"])
def test_faults_of_the_class_index(ucf, second):
    (ucf / "classInd.txt").write_text(f"1 ApplyEyeMakeup\n{second}\n")
    with pytest.raises(DataError, match=r"classInd\.txt:2: expected 2 and the name of a class, found '"):
        UCF101.find(str(ucf), "train", split=2)


def test_a_missing_video_of_a_split_names_its_line(ucf):
    manifest = UCF101.find(str(ucf), "train", path_prefix=str(ucf), split=2)
    dataset = UCF101(manifest=manifest, mode="val", num_frames=2, sampling_rate=1, crop_size=16)
    with pytest.raises(DecodeError) as caught:
        dataset[1]
    assert str(caught.value) == f"{ucf}/Archery/v_2.avi: no such file ({ucf}/trainlist02.txt:2)"


def test_hmdb51(tmp_path):
    (tmp_path / "wave_test_split1.txt").write_text("w 1.avi 1 \nw2.avi 2 \nw3.avi 0 \n")
    (tmp_path / "brush_hair_test_split1.txt").write_text("b1.avi 2\n")
    (tmp_path / "brush_hair_test_split2.txt").write_text("b1.avi 1\n")
    assert pairs(HMDB51.find(str(tmp_path), "train")) == [("wave/w 1.avi", 1)]
    assert pairs(HMDB51.find(str(tmp_path), "val")) == [("brush_hair/b1.avi", 0), ("wave/w2.avi", 1)]
    assert HMDB51.find(str(tmp_path), "train").classes.names == ("brush_hair", "wave")
    assert DATASET_REGISTRY.get("hmdb51") is HMDB51
    placed = HMDB51.find(str(tmp_path), "val").with_location(1, "bad")
    assert placed == f"bad ({tmp_path}/wave_test_split1.txt:2)"
    (tmp_path / "wave_test_split1.txt").write_text("w1.avi\n")
    with pytest.raises(DataError, match=r"wave_test_split1\.txt:1: expected a video and 0, 1 or 2"):
        HMDB51.find(str(tmp_path), "train")
    with pytest.raises(DataError, match=r"\*_test_split3\.txt: no such lists of videos"):
        HMDB51.find(str(tmp_path), "train", split=3)
    with pytest.raises(DataError, match=r"nowhere: can't read the folder of lists: No such file"):
        HMDB51.find(str(tmp_path / "nowhere"), "train")
