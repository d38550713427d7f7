import pytest
import torch

from pytorchvideo_autox3d.data import ClipNormalize, Kinetics, read_list
from pytorchvideo_autox3d.errors import DataError, DecodeError, NoListError
from pytorchvideo_autox3d.registry import DATASET_REGISTRY

CLIP = {"num_frames": 4, "sampling_rate": 2, "crop_size": 24, "jitter_scales": (24, 32)}


@pytest.fixture
def make(video_list):
    def build(**arguments):
        defaults = {"manifest": str(video_list), "path_prefix": str(video_list.parent), "mode": "train", **CLIP}
        return Kinetics(**{**defaults, **arguments})

    return build


def test_is_registered():
    assert DATASET_REGISTRY.get("kinetics") is Kinetics


def test_training_item(make):
    dataset = make()
    item = dataset[3]
    assert item.clip_BCTHW.shape == (1, 3, 4, 24, 24)
    assert item.clip_BCTHW.dtype == torch.uint8
    assert item.clip_BCTHW.is_contiguous(memory_format=torch.channels_last_3d)
    assert (item.label_B.tolist(), item.video_B.tolist(), item.view_B.tolist()) == ([3], [3], [0])
    assert item.label_B.dtype == item.video_B.dtype == item.view_B.dtype == torch.int64
    assert (len(dataset), dataset.num_videos, dataset.num_views) == (10, 10, 1)
    assert list(dataset.labels) == [n % 5 for n in range(10)]
    assert dataset.paths[9].endswith("/v9.mp4")


def test_test_item_holds_all_views_of_one_decode(make, number_of, monkeypatch):
    from pytorchvideo_autox3d.data.pyav_reader import PyAVReader

    reads = []
    original = PyAVReader.read
    monkeypatch.setattr(
        PyAVReader, "read", lambda self, frames, **kw: reads.append(list(frames)) or original(self, frames, **kw)
    )
    dataset = make(mode="test", num_clips=5, num_crops=3)
    item = dataset[2]
    assert len(reads) == 1
    assert item.clip_BCTHW.shape == (15, 3, 4, 24, 24)
    assert item.view_B.tolist() == list(range(15))
    assert item.video_B.tolist() == [2] * 15
    # 60 frames, clips of 8: starts 0, 10.4, 20.8, 31.2, 41.6; the four frames of the first are 0, 2.33, 4.67, 7.
    assert {0, 2, 4, 7, 41, 48} <= set(reads[0])
    assert len(reads[0]) == len(set(reads[0])) == 20


def test_one_crop_scales_as_validation_does(make, number_of):
    whole = make(mode="test", num_clips=1, num_crops=1, crop_size=24, jitter_scales=(24, 32))
    assert whole.test_short_side == 24
    assert make(mode="test", num_crops=1, jitter_scales=(28, 32)).test_short_side == 28
    assert make(mode="test", num_crops=3, jitter_scales=(28, 32)).test_short_side == 24


@pytest.mark.parametrize("num_crops", [1, 3])
def test_a_test_may_have_a_larger_crop_than_the_training_jitters_over(make, num_crops):
    dataset = make(mode="test", num_clips=1, num_crops=num_crops, crop_size=36, jitter_scales=(24, 32))
    assert dataset.test_short_side == 36
    assert dataset[0].clip_BCTHW.shape == (num_crops, 3, 4, 36, 36)


def test_validation_is_the_middle(make):
    dataset = make(mode="val")
    assert torch.equal(dataset[0, 1].clip_BCTHW, dataset[7, 1].clip_BCTHW)
    assert dataset.num_views == 1


def test_clips_depend_on_seed_epoch_and_index_alone(make):
    first = make()[2, 4].clip_BCTHW
    again = make()
    again[0, 1], again[1, 4]
    assert torch.equal(again[2, 4].clip_BCTHW, first)
    again.set_epoch(2)
    assert torch.equal(again[4].clip_BCTHW, first)
    assert not torch.equal(again[3, 4].clip_BCTHW, first)
    assert not torch.equal(make(seed=1)[2, 4].clip_BCTHW, first)


def test_a_short_video_repeats_its_last_frame(make):
    clip = make(mode="test", num_clips=2, num_crops=1, num_frames=8, sampling_rate=4)[8].clip_BCTHW
    assert clip.shape == (2, 3, 8, 24, 24)
    assert torch.equal(clip[0, :, 1:], clip[0, :, 1:2].expand_as(clip[0, :, 1:]))
    assert not torch.equal(clip[0, :, 0], clip[0, :, 1])


def test_floats_on_request(make):
    item = make(normalize=ClipNormalize())[0]
    plain = make()[0]
    assert item.clip_BCTHW.dtype == torch.float32
    torch.testing.assert_close(item.clip_BCTHW, (plain.clip_BCTHW / 255 - 0.45) / 0.225, atol=1e-5, rtol=1e-5)


def test_takes_a_part_of_a_list(make, video_list):
    manifest = read_list(str(video_list), path_prefix=str(video_list.parent)).subset([7, 9])
    dataset = make(manifest=manifest)
    assert len(dataset) == 2
    assert dataset[1].label_B.tolist() == [4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "training"}, "mode is 'training'"),
        ({"num_frames": 0}, "num_frames is 0"),
        ({"sampling_rate": -1}, "sampling_rate is -1"),
        ({"jitter_scales": (20, 32)}, "jitter_scales are"),
        ({"jitter_scales": (32, 30)}, "jitter_scales are"),
        (
            {"mode": "test", "jitter_scales": (32, 30)},
            r"jitter_scales are \[32, 30\], expected \[low, high\] from 1 up",
        ),
        ({"num_crops": 2}, "num_crops is 2"),
        ({"test_short_side": 10}, "test_short_side is 10"),
        ({"num_classes": 4}, "list.csv:5: label 4 is out of range"),
    ],
)
def test_wrong_arguments(make, arguments, message):
    with pytest.raises(DataError, match=message):
        make(**arguments)


def test_a_bad_file_is_named(make, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    (tmp_path / "list.csv").write_text("bad.mp4 0\n")
    dataset = make(manifest=str(tmp_path / "list.csv"), path_prefix=str(tmp_path))
    with pytest.raises(DecodeError, match=r"bad\.mp4: not a readable video"):
        dataset[0]


@pytest.mark.parametrize("name", ["bigbuckbunny", "bikes", "carphone_pristine"])
def test_real_footage_in_training_and_test(make, tmp_path, real_footage, name):
    (tmp_path / "list.csv").write_text(f"{real_footage[name]} 0\n")
    train = make(manifest=str(tmp_path / "list.csv"), auto_augment="imagenet")
    assert train[0].clip_BCTHW.float().std() > 5
    test = make(manifest=str(tmp_path / "list.csv"), mode="test", num_clips=2, num_crops=3)
    views = test[0].clip_BCTHW
    assert views.shape == (6, 3, 4, 24, 24)
    assert not torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[3])


def test_a_folder_that_is_not_there_is_called_so(tmp_path):
    with pytest.raises(NoListError, match=r"gone: no such folder$"):
        DATASET_REGISTRY.get("kinetics").find(str(tmp_path / "gone"), "train")
    with pytest.raises(NoListError, match=r"holds no train\.csv"):
        DATASET_REGISTRY.get("kinetics").find(str(tmp_path), "train")
