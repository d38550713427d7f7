import pickle
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.data import Manifest, VideoRecord, read_manifest
from pytorchvideo_autox3d.data.manifest import Places, write_manifest
from pytorchvideo_autox3d.errors import DataError


@pytest.fixture
def written(tmp_path):
    def write(text, encoding="utf8"):
        path = tmp_path / "list.csv"
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


def items(manifest):
    return [(record.path, record.label) for record in manifest]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.mp4 0\nb/c.mp4 3\n", [("a.mp4", 0), ("b/c.mp4", 3)]),
        ("a.mp4,0\nb.mp4,3", [("a.mp4", 0), ("b.mp4", 3)]),
        ("a.mp4\t0\r\nb.mp4\t3\r\n", [("a.mp4", 0), ("b.mp4", 3)]),
        ("my holiday.mp4 1\nplain.mp4 2\n", [("my holiday.mp4", 1), ("plain.mp4", 2)]),
        ('"with, comma.mp4",1\nplain.mp4,2\n', [("with, comma.mp4", 1), ("plain.mp4", 2)]),
        ('"say ""hi"".mp4" 1\n', [('say "hi".mp4', 1)]),
        ("path label\na.mp4 4\n", [("a.mp4", 4)]),
        ('"video","class"\n"a.mp4",4\n', [("a.mp4", 4)]),
        ("\n\na.mp4  7\n\n", [("a.mp4", 7)]),
        ("\ufeffa.mp4 7\n", [("a.mp4", 7)]),
        ("größe/видео.mp4 2\n", [("größe/видео.mp4", 2)]),
        ("a b.mp4,5\nc d.mp4,6\n", [("a b.mp4", 5), ("c d.mp4", 6)]),
    ],
)
def test_forms_of_lists(written, text, expected):
    assert items(read_manifest(written(text))) == expected


def test_prefix_is_joined_before_relative_paths(written):
    manifest = read_manifest(written("a.mp4 0\n/abs/b.mp4 1\n"), path_prefix="/data")
    assert list(manifest.paths) == ["/data/a.mp4", "/abs/b.mp4"]
    assert manifest.record(1) == VideoRecord("/abs/b.mp4", 1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "list.csv: lists no videos"),
        ("\n \n", "list.csv: lists no videos"),
        ("path label\n", "list.csv: lists no videos"),
        ("a.mp4 0\nb.mp4\n", "list.csv:2: expected a path and an integer label, found 'b.mp4'"),
        ("a.mp4 0\n\nb.mp4 cat\n", "list.csv:3: expected a path and an integer label, found 'b.mp4 cat'"),
        ("a.mp4 cat\nb.mp4 0\n", "list.csv:1: expected a path and an integer label, found 'a.mp4 cat'"),
        ("a.mp4 1.5\n", "list.csv:1: expected a path"),
        ("a.mp4 -1\n", "list.csv:1: label -1 is out of range, expected 0 to 4"),
        ("a.mp4 0\nb.mp4 5\n", "list.csv:2: label 5 is out of range, expected 0 to 4"),
        ("a.mp4 0\nb.mp4 99999999999999999999\n", "list.csv:2: label 99999999999999999999 is out of range"),
    ],
)
def test_bad_lists_name_the_line(written, text, message):
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read_manifest(written(text), num_classes=5)
    assert "\n" not in str(caught.value)


def test_missing_list(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv: no such list"):
        read_manifest(str(tmp_path / "nowhere.csv"))
    with pytest.raises(DataError, match="can't read the list"):
        read_manifest(str(tmp_path))


def test_memory_is_flat_arrays():
    count, path = 10_000, "abcdefghij/klmnopqrst.mp4"
    manifest = Manifest.from_items((path, 7) for _ in range(count))
    held = sum(t.numel() * t.element_size() for t in (manifest.path_bytes, manifest.offset, manifest.label))
    assert held == count * (len(path) + 8 + 8) + 8


def test_a_faulty_video_is_found_in_the_list(written):
    """Lines are counted as an editor does: the header and empty lines too."""
    path = written("path label\n\na.mp4 0\n\nb.mp4 1\n")
    manifest = read_manifest(path)
    assert manifest.placed(0, "a.mp4: bad") == f"a.mp4: bad ({path}:3)"
    assert manifest.placed(1, "b.mp4: bad") == f"b.mp4: bad ({path}:5)"
    assert manifest.subset([1]).placed(0, "b.mp4: bad") == f"b.mp4: bad ({path}:5)"
    assert Manifest.from_items([("a.mp4", 0)]).placed(0, "a.mp4: bad") == "a.mp4: bad"


def test_labels_too_large_for_an_integer(written):
    path = written("a.mp4 99999999999999999999\n")
    with pytest.raises(DataError, match=r"list\.csv:1: label 99999999999999999999 is out of range"):
        read_manifest(path)


def test_subset_numbers_anew_and_keeps_the_prefix():
    manifest = Manifest.from_items([(f"{n}.mp4", n) for n in range(5)], prefix="/data")
    part = manifest.subset([4, 1])
    assert list(part) == [VideoRecord("/data/4.mp4", 4, 0), VideoRecord("/data/1.mp4", 1, 1)]
    assert part.labels.tolist() == [4, 1]
    with pytest.raises(IndexError):
        part.record(2)


def test_pickles_for_spawned_workers():
    manifest = Manifest.from_items([("a.mp4", 3)])
    copy = pickle.loads(pickle.dumps(manifest))
    assert items(copy) == [("a.mp4", 3)]
    assert copy.label.dtype == torch.int64


names = st.text(
    st.characters(blacklist_characters='"\r\n\t', blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1
)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(names, st.integers(0, 2**40)), min_size=1), st.sampled_from(["\t", ",", " "]))
def test_round_trip_through_quoted_lists(tmp_path_factory, pairs, separator):
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    path.write_text("".join(f'"{name}"{separator}{label}\n' for name, label in pairs), encoding="utf8", newline="")
    assert [(r.path, r.label) for r in read_manifest(str(path))] == pairs


@pytest.mark.parametrize("path", ["a\0.mp4", "\ud800.mp4"])
def test_names_that_no_file_can_have(path):
    with pytest.raises(DataError, match=r"list\.json: entry 2: '.*' can't be the name of a file"):
        Manifest.from_items([("a.mp4", 0), (path, 0)], places=Places.of("list.json", [1, 2], unit="entry"))


def test_names_with_other_bytes_are_kept(tmp_path):
    text = "gr\udcf6sse.mp4 0\n".encode("utf8", "surrogateescape")
    (tmp_path / "list.csv").write_bytes(text)
    write_manifest(tmp_path / "again.csv", read_manifest(str(tmp_path / "list.csv")))
    assert (tmp_path / "again.csv").read_bytes() == text
