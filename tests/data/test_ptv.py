import pytest
import torch
from pytorchvideo.data.clip_sampling import make_clip_sampler
from pytorchvideo.data.encoded_video_pyav import EncodedVideoPyAV
from torch.utils.data import SequentialSampler

from pytorchvideo_autox3d.data.ptv import ReaderVideo, labeled_video_dataset
from pytorchvideo_autox3d.errors import DataError


@pytest.mark.parametrize(("start", "end"), [(0, 0.5), (0.5, 1.0), (1.5, 2.0), (0.31, 0.72), (0, 9)])
def test_the_same_frames_as_its_own_reader(plain_video, start, end):
    with open(plain_video, "rb") as file:
        own = EncodedVideoPyAV(file, decode_audio=False)
        expected = own.get_clip(start, end)["video"]
    video = ReaderVideo(str(plain_video))
    clip = video.get_clip(start, end)
    video.close()
    assert clip["audio"] is None
    assert clip["video"].dtype == torch.float32
    assert clip["video"].shape == expected.shape
    assert (clip["video"] - expected).abs().max() <= 3


def test_the_data_set_with_samplers_and_transforms(plain_video, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    videos = [(str(tmp_path / "bad.mp4"), {"label": 0}), (str(plain_video), {"label": 3})]
    dataset = labeled_video_dataset(
        videos,
        make_clip_sampler("uniform", 0.5),
        video_sampler=SequentialSampler,
        transform=lambda sample: sample | {"video": sample["video"] / 255},
        num_frames=4,
        short_side=24,
    )
    samples = list(dataset)
    assert [sample["clip_index"] for sample in samples] == [0, 1, 2, 3]
    assert {sample["label"] for sample in samples} == {3}
    assert all(sample["video"].shape == (3, 4, 24, 28) for sample in samples)
    assert all(sample["video"].max() <= 1 for sample in samples)


def test_a_clip_past_the_end_is_none(plain_video):
    assert ReaderVideo(str(plain_video)).get_clip(5, 6)["video"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *[({"num_frames": value}, f"num_frames is {value!r}, expected") for value in (0, -1, 2.5, True)],
        *[({"short_side": value}, f"short_side is {value!r}, expected") for value in (0, -4, "64")],
        ({"labeled_video_paths": []}, "labeled_video_paths is empty"),
        ({"clip_sampler": make_clip_sampler("random", 0)}, "clip_sampler has clips of 0 seconds"),
    ],
)
def test_an_argument_that_no_clip_could_be_read_with_is_named(arguments, message):
    given = {"labeled_video_paths": [("a.mp4", {"label": 0})], "clip_sampler": make_clip_sampler("random", 1)}
    with pytest.raises(DataError) as raised:
        labeled_video_dataset(**given | arguments)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)
