import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.data import VideoRecord, read_list
from pytorchvideo_autox3d.data.csv_list import read_csv
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
    assert items(read_list(written(text))) == expected


def test_prefix_is_joined_before_relative_paths(written):
    manifest = read_list(written("a.mp4 0\n/abs/b.mp4 1\n"), path_prefix="/data")
    assert list(manifest.paths) == ["/data/a.mp4", "/abs/b.mp4"]
    assert manifest.record(1) == VideoRecord("/abs/b.mp4", 1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "list.csv: lists no videos"),
        ("\n \n", "list.csv: lists no videos"),
        ("path label\n", "list.csv: lists no videos"),
        ("a.mp4 0\nb.mp4\n", "list.csv:2: has no label, as others in the list have"),
        ("a.mp4,0\nb.mp4,\n", "list.csv:2: has no label"),
        ("a.mp4 cat\nb.mp4\n", "list.csv:2: has no label"),
        ("a.mp4 0\n\nb.mp4 cat\n", "list.csv:3: the label 'cat' is a name, and no classes.json says its number"),
        ("a.mp4 cat\nb.mp4 0\n", "list.csv:1: the label 'cat' is a name, and no classes.json says its number"),
        ("a.mp4 cat\nb.mp4 9\nc.mp4 dog\n", "list.csv:2: the label is a number, but most of the list's are names"),
        ("a.mp4 9\nb.mp4 cat\nc.mp4 dog\n", "list.csv:1: the label is a number, but most of the list's are names"),
        ("a.mp4 4\nb.mp4 cat\nc.mp4 3\n", "list.csv:2: the label 'cat' is a name, and no classes.json says"),
        ("a.mp4 1.5\n", "list.csv:1: expected a path and a label, found 'a.mp4 1.5'"),
        ("a.mp4,cat,1.5\n", "list.csv:1: expected a path and a label"),
        ("a.mp4,1.5,cat\n", "list.csv:1: expected a path and a label"),
        ("frames/a cat\n", "list.csv:1: expected a path and a label"),
        (
            "a.mp4 a\nb.mp4 b\nc.mp4 c\nd.mp4 d\ne.mp4 e\nf.mp4 f\n",
            "list.csv: has 6 classes, expected 5 or fewer (MODEL.NUM_CLASSES): 'f'",
        ),
        ("a.mp4 -1\n", "list.csv:1: label -1 is out of range, expected 0 to 4"),
        ("a.mp4 0\nb.mp4 5\n", "list.csv:2: label 5 is out of range, expected 0 to 4"),
        ("a.mp4 0\nb.mp4 99999999999999999999\n", "list.csv:2: label 99999999999999999999 is out of range"),
    ],
)
def test_bad_lists_name_the_line(written, text, message):
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read_list(written(text), num_classes=5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.mp4 zumba\nb.mp4 air drumming\n", [("a.mp4", "zumba"), ("b.mp4", "air drumming")]),
        ("my video.mp4,air drumming\nb.MP4,zumba\n", [("my video.mp4", "air drumming"), ("b.MP4", "zumba")]),
        ('a.mp4,"yes, no"\n"b, c.mp4",zumba\n', [("a.mp4", "yes, no"), ("b, c.mp4", "zumba")]),
        ("path\tlabel\na.mp4\tair drumming\n", [("a.mp4", "air drumming")]),
        ("a.mp4.webm 1_000\n", [("a.mp4.webm", "1_000")]),  # which Python's int() would take for a thousand
        ("a.mp4 ٣\n", [("a.mp4", "٣")]),
        ("a.mp4 +3\n", [("a.mp4", 3)]),
        ("a.mp4\nmy b.avi\n", [("a.mp4", None), ("my b.avi", None)]),
        ("video\na.mp4,\nb, c.mp4,\n", [("a.mp4", None), ("b, c.mp4", None)]),
        ('"a, b.mp4"\nc.mp4\n', [("a, b.mp4", None), ("c.mp4", None)]),
    ],
)
def test_labels_as_they_stand_there(written, text, expected):
    entries = read_csv(written(text))
    assert list(zip(entries.paths, entries.labels, strict=True)) == expected


def test_a_list_without_labels(written):
    manifest = read_list(written("a.mp4\nb.mp4\n"))
    assert not manifest.labelled
    assert manifest.labels.tolist() == [-1, -1]
    assert read_list(written("a.mp4 0\n")).labelled


def test_missing_list(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv: no such list"):
        read_list(str(tmp_path / "nowhere.csv"))
    with pytest.raises(DataError, match="can't read the list"):
        read_csv(str(tmp_path))


def test_labels_too_large_for_an_integer(written):
    path = written("a.mp4 99999999999999999999\n")
    with pytest.raises(DataError, match=r"list\.csv:1: label 99999999999999999999 is out of range"):
        read_list(path)


names = st.text(
    st.characters(blacklist_characters='"\r\n\t', blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1
)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(names, st.integers(0, 2**40)), min_size=1), st.sampled_from(["\t", ",", " "]))
def test_round_trip_through_quoted_lists(tmp_path_factory, pairs, separator):
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    path.write_text("".join(f'"{name}"{separator}{label}\n' for name, label in pairs), encoding="utf8", newline="")
    assert [(r.path, r.label) for r in read_list(str(path))] == pairs


words = st.text(st.sampled_from("abcXYZ_-é'."), min_size=1).filter(lambda word: not word.replace(".", "").isdigit())


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(words, st.lists(words, min_size=1, max_size=3)), min_size=1),
    st.sampled_from(["\t", ",", " "]),
)
def test_names_of_several_words_are_found_by_the_suffix_before_them(tmp_path_factory, pairs, separator):
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    expected = [(f"x{n} {word}.mp4", " ".join(name)) for n, (word, name) in enumerate(pairs)]
    path.write_text("".join(f"{video}{separator}{name}\n" for video, name in expected), encoding="utf8")
    entries = read_csv(str(path))
    assert list(zip(entries.paths, entries.labels, strict=True)) == expected
