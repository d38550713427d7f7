import os
import pickle

import numpy as np
import pytest
import torch

from pytorchvideo_autox3d.data import Kinetics, decoded_copies, open_video, read_list
from pytorchvideo_autox3d.data.decoded_copies import DecodedCopies
from pytorchvideo_autox3d.data.pyav_reader import PyAVReader
from pytorchvideo_autox3d.errors import AutoX3DError, DataError, DecodeError


class Opened(Exception):
    """A video was opened that has a copy."""


def refuse(path):
    raise Opened(path)


@pytest.fixture
def video(make_video, tmp_path):
    return str(make_video(tmp_path / "v.mp4", range(20), rate=25))


@pytest.fixture
def copies(tmp_path):
    return DecodedCopies(open_video, str(tmp_path / "copies"), short_side=256)


def test_a_copy_has_the_video_s_frames(video, copies):
    with open_video(video) as original:
        expected = original.read(range(20))
    for opened in (copies, DecodedCopies(refuse, copies.folder, short_side=256)):
        with opened(video) as reader:
            metadata = reader.metadata()
            assert (metadata.num_frames, metadata.fps, metadata.height, metadata.width) == (20, 25.0, 48, 56)
            assert torch.equal(reader.read([7, 3, 3]), expected[[7, 3, 3]])
            assert reader.read([0], short_side=24).shape == (1, 3, 24, 28)
    assert len(os.listdir(copies.folder)) == 1


def test_large_pictures_are_scaled_down(video, tmp_path):
    for _ in range(2):
        small = DecodedCopies(open_video, str(tmp_path / "copies"), short_side=24)(video)
        with small as reader, open_video(video) as original:
            assert torch.equal(reader.read([5]), original.read([5], short_side=24))


def test_copies_stay_in_memory_while_there_is_room(video, copies, make_video, tmp_path, monkeypatch):
    other = str(make_video(tmp_path / "w.mp4", range(20), rate=25))
    for path in (video, other):
        copies(path).close()
    monkeypatch.setattr(decoded_copies, "MOST_KEPT", int(1.5 * copies.copy_of(video).stat().st_size))
    first = [copies(path).read([4]) for path in (video, other)]  # from their files
    load, opened = np.load, []
    monkeypatch.setattr(np, "load", lambda path, **options: opened.append(path) or load(path, **options))
    assert all(torch.equal(copies(path).read([4]), frames) for path, frames in zip((video, other), first, strict=True))
    assert opened == [copies.copy_of(other)]
    assert copies.holds(video)
    assert len(pickle.dumps(copies)) < 2000


def test_a_video_that_changed_gets_another_copy(video, copies, make_video, tmp_path):
    copies(video).close()
    assert copies.holds(video)
    changed = make_video(tmp_path / "w.mp4", range(40, 70))
    os.replace(changed, video)
    assert not copies.holds(video)
    with copies(video) as reader:
        assert reader.metadata().num_frames == 30


@pytest.mark.parametrize("broken", [b"", b"nothing", None])
def test_a_broken_copy_is_made_again(video, copies, broken):
    copies(video).close()
    copy = copies.copy_of(video)
    copy.write_bytes(copy.read_bytes()[:-100] if broken is None else broken)
    with copies(video) as reader:
        assert reader.metadata().num_frames == 20
    assert np.load(copy).shape == (20, 48, 56, 3)


def test_an_array_of_another_kind_is_no_copy(video, copies):
    copies(video).close()
    np.save(copies.copy_of(video), np.zeros((20, 48, 56, 3), np.uint8))
    with copies(video) as reader, open_video(video) as original:
        assert torch.equal(reader.read([9]), original.read([9]))


def test_long_videos_are_read_as_ever(video, copies, monkeypatch):
    monkeypatch.setattr(decoded_copies, "LARGEST_COPY", 20 * 48 * 56 * 3 - 1)
    with copies(video) as reader, open_video(video) as original:
        assert type(reader) is type(original)
        assert torch.equal(reader.read([9]), original.read([9]))
    assert not os.path.exists(copies.folder)


def test_lost_frames_harm_only_clips_that_need_them(video, tmp_path):
    class Cut(PyAVReader):
        def read(self, frames, **options):
            if max(frames) == 19:
                raise DecodeError("v.mp4: truncated")
            return super().read(frames, **options)

    copies = DecodedCopies(Cut, str(tmp_path / "copies"), short_side=256)
    with copies(video) as reader, open_video(video) as original:
        assert torch.equal(reader.read([3]), original.read([3]))
        with pytest.raises(DecodeError, match="truncated"):
            reader.read([19])
    assert not copies.holds(video)


def test_errors(video, copies, tmp_path):
    with pytest.raises(DecodeError, match=r"none\.mp4: no such file"):
        copies(str(tmp_path / "none.mp4"))
    (tmp_path / "file").write_text("")
    nowhere = DecodedCopies(open_video, str(tmp_path / "file"), short_side=256)
    with pytest.raises(AutoX3DError, match=r"can't write .*file.*\.npy"):
        nowhere(video)


def test_goes_to_workers(copies):
    assert pickle.loads(pickle.dumps(copies)) == copies


@pytest.mark.parametrize("mode", ["train", "val", "test"])
def test_a_data_set_s_clips_are_the_same(video_list, tmp_path, mode):
    manifest = read_list(str(video_list), path_prefix=str(video_list.parent))
    options = {
        "manifest": manifest, "mode": mode, "num_frames": 4, "sampling_rate": 2, "crop_size": 24,
        "num_clips": 2, "num_crops": 1, "jitter_scales": (48, 48), "test_short_side": 48,
    }  # fmt: skip
    plain, copied = Kinetics(**options), Kinetics(**options, decoded_dir=str(tmp_path / "copies"))
    for _ in range(2):
        assert torch.equal(copied[3].clip_BCTHW, plain[3].clip_BCTHW)
    assert len(os.listdir(tmp_path / "copies")) == 1


def test_copies_are_as_large_as_any_clip_asks_for(video_list, tmp_path):
    dataset = Kinetics(
        manifest=str(video_list), path_prefix=str(video_list.parent), mode="train", num_frames=4, sampling_rate=2,
        crop_size=16, jitter_scales=(16, 20), test_short_side=24, decoded_dir=str(tmp_path / "copies"),
    )  # fmt: skip
    assert dataset[0].clip_BCTHW.shape == (1, 3, 4, 16, 16)
    (copy,) = (tmp_path / "copies").iterdir()
    assert min(np.load(copy).shape[1:3]) == 24


def test_frames_have_no_copies(tmp_path):
    from pytorchvideo_autox3d.data.dataset_arguments import check_copies
    from pytorchvideo_autox3d.data.frames import FrameManifest

    manifest = object.__new__(FrameManifest)
    object.__setattr__(manifest, "name", "frames.csv")
    with pytest.raises(DataError, match=r"frames\.csv: lists extracted frames"):
        check_copies(manifest)
