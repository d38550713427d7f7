import av
import pytest

from pytorchvideo_autox3d.data import open_video, read_list
from pytorchvideo_autox3d.data.tools.resize import ResizeSettings, resize_list, resize_video
from pytorchvideo_autox3d.errors import DataError, DecodeError

SMALL = ResizeSettings(short_side=24, gop=6)


def test_every_frame_at_its_own_time(tmp_path, make_video, number_of):
    times = [*range(0, 1000, 100), *range(2000, 3000, 100)]
    source = make_video(tmp_path / "a.mkv", range(20), times=times)
    resize_video(str(source), tmp_path / "b.mp4", SMALL)
    with av.open(str(tmp_path / "b.mp4")) as container:
        frames = [(frame.time, frame) for frame in container.decode(video=0)]
        assert container.streams.video[0].codec_context.name == "h264"
    assert [time for time, _ in frames] == pytest.approx([t / 1000 for t in times], abs=0.002)
    with open_video(str(tmp_path / "b.mp4")) as video:
        metadata = video.metadata()
        assert (metadata.height, metadata.width, metadata.num_frames) == (24, 28, 20)
        assert number_of(video.read([0])[0]) == 0


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.webm", "libvpx-vp9"), ("a.mp4", "libx264")])
def test_frames_stay_in_order(tmp_path, make_video, number_of, name, codec):
    source = make_video(tmp_path / name, range(30), codec=codec, sound=True)
    resize_video(str(source), tmp_path / "small.mp4", SMALL)
    with open_video(str(tmp_path / "small.mp4")) as video:
        assert [number_of(frame) for frame in video.read(range(30))] == list(range(30))


def test_turned_videos_come_out_upright_and_small_ones_keep_their_size(tmp_path, make_video):
    turned = make_video(tmp_path / "turned.mp4", range(5), rotation=90)
    resize_video(str(turned), tmp_path / "upright.mp4", SMALL)
    resize_video(str(turned), tmp_path / "same.mp4", ResizeSettings(short_side=64))
    for name, size in (("upright.mp4", (28, 24)), ("same.mp4", (56, 48))):
        with open_video(str(tmp_path / name)) as video:
            assert tuple(video.read([4]).shape[-2:]) == size


@pytest.fixture
def some(tmp_path, make_video, plain_video):
    root = tmp_path / "source"
    (root / "sub").mkdir(parents=True)
    (root / "a.mp4").write_bytes(plain_video.read_bytes())
    make_video(root / "sub" / "b.avi", range(8), codec="mpeg4")
    (root / "bad.mp4").write_bytes(b"nothing")
    (root / "list.csv").write_text("a.mp4 0\nsub/b.avi 1\nbad.mp4 2\nnowhere.mp4 3\n")
    return read_list(str(root / "list.csv"), path_prefix=str(root))


def test_a_list(some, tmp_path):
    before = {path: path.read_bytes() for path in (tmp_path / "source").rglob("*.*")}
    failed = resize_list(some, tmp_path / "out", SMALL, show_progress=False)
    assert set(failed) == {2, 3}
    assert failed[3].endswith(f"nowhere.mp4: no such file ({tmp_path}/source/list.csv:4)")
    result = read_list(str(tmp_path / "out" / "list.csv"), path_prefix=str(tmp_path / "out"))
    assert [result.listed(i) for i in range(len(result))] == ["a.mp4", "sub/b.avi.mp4"]
    assert result.labels.tolist() == [0, 1]
    for path in result.paths:
        with open_video(path) as video:
            assert video.metadata().height == 24
    assert before == {path: path.read_bytes() for path in (tmp_path / "source").rglob("*.*")}


def test_resumes_and_keeps_what_is_there(some, tmp_path):
    resize_list(some, tmp_path / "out", SMALL, show_progress=False)
    stamp = (tmp_path / "out" / "a.mp4").stat().st_mtime_ns
    (tmp_path / "out" / "sub" / "b.avi.mp4").unlink()
    resize_list(some, tmp_path / "out", SMALL, show_progress=False)
    assert (tmp_path / "out" / "a.mp4").stat().st_mtime_ns == stamp
    assert (tmp_path / "out" / "sub" / "b.avi.mp4").exists()
    with pytest.raises(DataError, match="holds videos of other settings"):
        resize_list(some, tmp_path / "out", ResizeSettings(short_side=32), show_progress=False)


def test_never_writes_over_a_file(some, tmp_path, plain_video):
    with pytest.raises(DataError, match="lies where its result would"):
        resize_list(some, tmp_path / "source", SMALL, show_progress=False)
    (tmp_path / "there.mp4").write_bytes(b"kept")
    with pytest.raises(DataError, match="exists already"):
        resize_video(str(plain_video), tmp_path / "there.mp4", SMALL)
    assert (tmp_path / "there.mp4").read_bytes() == b"kept"


def test_a_failure_leaves_nothing(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    with pytest.raises(DecodeError, match=r"bad\.mp4: not a readable video"):
        resize_video(str(tmp_path / "bad.mp4"), tmp_path / "out.mp4", SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4"]


def test_wrong_settings():
    with pytest.raises(DataError, match="even short side"):
        ResizeSettings(short_side=255)


def test_results_that_would_lie_in_one_place_are_refused(tmp_path, make_video, plain_video):
    """Else one video would stand for both under two labels."""
    (tmp_path / "a").write_bytes(plain_video.read_bytes())
    make_video(tmp_path / "a.mp4", range(5))
    (tmp_path / "list.csv").write_text("a.mp4 0\na 1\n")
    manifest = read_list(str(tmp_path / "list.csv"), path_prefix=str(tmp_path))
    with pytest.raises(DataError, match=r"list\.csv:1\) \(.*list\.csv:2\)"):
        resize_list(manifest, tmp_path / "out", SMALL, show_progress=False)
    with pytest.raises(DataError, match=r"a\.mp4: lies where its result would; choose another folder .*list\.csv:1\)"):
        resize_list(manifest, tmp_path, SMALL, show_progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.mp4", "list.csv"]


def test_the_names_of_the_classes_go_with_the_list(tmp_path, plain_video):
    for name in ("train/a/1.mp4", "train/b/2.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(plain_video.read_bytes())
    resize_list(read_list(str(tmp_path / "train")), tmp_path / "out", ResizeSettings(32), show_progress=False)
    small = read_list(str(tmp_path / "out" / "train.csv"))
    assert (small.classes.names, small.labels.tolist()) == (("a", "b"), [0, 1])
