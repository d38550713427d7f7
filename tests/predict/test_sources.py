import pytest

from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.predict.sources import find_labelled, find_videos


@pytest.fixture
def folder(tmp_path):
    for name in ("b.mp4", "a.webm", "deep/c.MP4", "d.npy", "notes.md", ".hidden.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "list.csv").write_text("b.mp4 1\n/elsewhere/x.mp4 0\n")
    return tmp_path


def test_each_form(folder):
    def named(*names, **options):
        return [path.removeprefix(f"{folder}/") for path in find_videos([str(n) for n in names], **options)]

    assert named(folder) == ["a.webm", "b.mp4", "d.npy", "deep/c.MP4"]
    assert named(folder / "*.mp4") == ["b.mp4"]
    assert named(folder / "**" / "*.MP4") == ["deep/c.MP4"]
    assert named(folder / "list.csv", prefix=str(folder)) == ["b.mp4", "/elsewhere/x.mp4"]
    assert named("x.mp4", "x.mp4", folder / "b.mp4") == ["x.mp4", "b.mp4"]
    assert named("-", stdin=["one two.mp4\n", "\n", "three.mp4"]) == ["one two.mp4", "three.mp4"]
    assert named("-", stdin=["from windows.mp4\r\n"]) == ["from windows.mp4"]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    (tmp_path / "clip[1].mp4").touch()
    assert find_videos([str(tmp_path / "clip[1].mp4")]) == [str(tmp_path / "clip[1].mp4")]


@pytest.mark.parametrize("name", ["*.avi", "empty", "-"])
def test_what_stands_for_no_video_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    given = name if name == "-" else str(tmp_path / name)
    with pytest.raises(DataError, match="no videos") as raised:
        find_videos([given], stdin=[])
    assert given in str(raised.value)


def test_classes_are_their_names_where_there_are_names(tmp_path):
    """So that two lists by themselves, each of which numbers its own names, agree."""
    (tmp_path / "one.csv").write_text("a.mp4 left\nb.mp4 right\n")
    (tmp_path / "other.csv").write_text("c.mp4 right\n")
    (tmp_path / "numbers.csv").write_text("d.mp4 1\n")
    assert find_labelled([str(tmp_path / "one.csv")])[1] == ["left", "right"]
    assert find_labelled([str(tmp_path / "other.csv")])[1] == ["right"]
    assert find_labelled([str(tmp_path / "numbers.csv")])[1] == [1]
