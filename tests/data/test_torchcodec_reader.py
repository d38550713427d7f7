import builtins
import importlib

import pytest

from pytorchvideo_autox3d.data import Kinetics, Manifest, open_video, torchcodec_reader
from pytorchvideo_autox3d.errors import DataError, DecodeError

present = pytest.mark.skipif(not torchcodec_reader.available(), reason="torchcodec is optional and not installed")


@present
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9"), ("a.mkv", "libx264")])
def test_frames_by_number(tmp_path, make_video, number_of, name, codec):
    path = make_video(tmp_path / name, range(60), codec=codec)
    with open_video(str(path), reader="torchcodec") as video:
        assert video.metadata().num_frames == 60
        for asked in ([0], [59], [40, 3, 3, 17], range(60)):
            assert [number_of(frame) for frame in video.read(list(asked))] == list(asked)
        assert video.read([7], short_side=24).shape == (1, 3, 24, 28)


@present
def test_the_same_picture_as_the_other_reader(real_footage):
    for path in real_footage.values():
        frames = [open_video(path, reader=reader).read([5, 60], short_side=128) for reader in ("pyav", "torchcodec")]
        noise = (frames[0].double() - frames[1].double()).square().mean()
        assert 255**2 / noise > 10**3  # 30 dB: they filter differently when they scale


@present
def test_faults_name_the_file(tmp_path, plain_video):
    (tmp_path / "text.mp4").write_bytes(b"no video" * 50)
    for name in ("text.mp4", "none.mp4"):
        path = tmp_path / name
        with pytest.raises(DecodeError, match=r"no such file|not a readable video") as caught:
            open_video(str(path), reader="torchcodec")
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


@present
def test_a_data_set_over_it(plain_video):
    arguments = {"num_frames": 4, "sampling_rate": 2, "crop_size": 24, "jitter_scales": (24, 32), "num_clips": 2}
    data = Kinetics(
        manifest=Manifest.from_items([(str(plain_video), 0)]), mode="test", reader="torchcodec", **arguments
    )
    assert data[0].clip_BCTHW.shape == (6, 3, 4, 24, 24)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError, r"is not installed: pip install 'pytorchvideo_autox3d\[torchcodec\]'"),
        (RuntimeError, "finds no shared libraries"),
    ],
)
def test_its_absence_is_one_line(plain_video, monkeypatch, error, message):
    def fail(name, *args):
        if name.startswith("torchcodec"):
            raise error("long\nstory")
        return builtins.__import__(name, *args)

    monkeypatch.setattr(torchcodec_reader, "importlib", importlib)
    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(DataError, match=message) as caught:
        open_video(str(plain_video), reader="torchcodec")
    assert "\n" not in str(caught.value)
    assert not torchcodec_reader.available()
