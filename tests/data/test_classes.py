import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo_autox3d.data import ClassNames
from pytorchvideo_autox3d.data.classes import UNNAMED
from pytorchvideo_autox3d.errors import DataError


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "9", "1"], ("1", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["01", "1", "2"], ("01", "1", "2")),
        (["B", "a", "ä"], ("B", "a", "ä")),
        ([], ()),
    ],
)
def test_order(names, expected):
    assert ClassNames.in_order(names, "train").names == expected


def test_numbers_and_names():
    classes = ClassNames(("a", "b"), "train")
    assert [classes.number(name) for name in classes] == [0, 1]
    assert [classes.name(number) for number in range(3)] == ["a", "b", "class 2"]
    assert ("a" in classes, "c" in classes, len(classes), bool(UNNAMED)) == (True, False, 2, False)
    assert classes.padded(3) == ("a", "b", "unnamed class 2")
    assert UNNAMED.padded(3) == ()
    assert ClassNames.unpadded(classes.padded(9), "train") == classes
    real = ClassNames(("class 0", "class 1"))
    assert ClassNames.unpadded(real.padded(2), "train") == ClassNames.unpadded(real.padded(5), "train") == real
    with pytest.raises(KeyError):
        classes.number("c")


@given(st.lists(st.text(), unique=True))
def test_what_is_written_is_read_back(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("classes")
    ClassNames(tuple(names)).write(folder)
    assert ClassNames.find(str(folder)) == ClassNames(tuple(names))


def test_names_of_folders_that_are_no_utf8_are_kept(tmp_path):
    ClassNames(("gr\udcf6sse",)).write(tmp_path)
    assert ClassNames.read(str(tmp_path / "classes.json")).names == ("gr\udcf6sse",)


def test_agreement():
    ours = ClassNames(("a", "b"), "classes.json")
    ours.check_agrees(UNNAMED)
    UNNAMED.check_agrees(ours)
    ours.check_agrees(ClassNames(("a", "b"), "elsewhere"))
    with pytest.raises(DataError, match=r"^classes\.json: class 2 is 'class 2', but 'c' in model\.pyth: the class"):
        ours.check_agrees(ClassNames(("a", "b", "c"), "model.pyth"))
    with pytest.raises(DataError, match="class 1 is 'b', but 'c' in model"):
        ours.check_agrees(ClassNames(("a", "c"), "model.pyth"))


def test_a_name_given_twice(tmp_path):
    with pytest.raises(DataError, match="train: the name 'a' stands there twice"):
        ClassNames(("a", "b", "a"), "train")


def test_the_first_folder_that_has_a_file_counts(tmp_path):
    for folder, name in (("x", "a"), ("y", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "classes.json").write_text(json.dumps([name]))
    assert ClassNames.find(str(tmp_path), str(tmp_path / "y"), str(tmp_path / "x")).names == ("b",)
    assert ClassNames.find(str(tmp_path)) == UNNAMED
