import json

import pytest

from pytorchvideo_autox3d.data import ClassNames, find_list, read_list
from pytorchvideo_autox3d.data.json_file import read_json
from pytorchvideo_autox3d.errors import DataError

PAIRS = [("a b.mp4", 1), ("sub/c.mp4", 0)]


def pairs(manifest):
    return [(manifest.listed(i), int(manifest.labels[i])) for i in range(len(manifest))]


@pytest.mark.parametrize(
    "content",
    [
        {"a b.mp4": 1, "sub/c.mp4": 0},
        {"a b.mp4": {"label": 1}, "x": {"path": "sub/c.mp4", "label": 0}},
        [["a b.mp4", 1], ["sub/c.mp4", {"label": 0}]],
        [{"path": "a b.mp4", "label": 1}, {"video_path": "sub/c.mp4", "label": 0}],
    ],
)
def test_json(tmp_path, content):
    (tmp_path / "list.json").write_text(json.dumps(content))
    manifest = read_list(str(tmp_path / "list.json"), path_prefix="/videos")
    assert pairs(manifest) == PAIRS
    assert manifest.paths[0] == "/videos/a b.mp4"


def test_kinetics_own_json_and_names(tmp_path):
    annotations = {"label": "air drumming", "segment": [23.0, 33.0]}
    (tmp_path / "train.json").write_text(json.dumps({"0aXQ": {"annotations": annotations, "subset": "train"}}))
    (tmp_path / "classes.json").write_text(json.dumps({"zumba": 1, "air drumming": 0}))
    manifest = find_list(str(tmp_path), "train")
    assert pairs(manifest) == [("0aXQ_000023_000033.mp4", 0)]
    assert manifest.classes.names == ("air drumming", "zumba")


def test_csv_with_names(tmp_path):
    (tmp_path / "list.csv").write_text('path,label\na b.mp4,zumba\nsub/c.mp4,"air drumming"\nd.mp4,1\n')
    (tmp_path / "classes.json").write_text(json.dumps(["air drumming", "zumba"]))
    assert pairs(read_list(str(tmp_path / "list.csv"))) == [*PAIRS, ("d.mp4", 1)]


@pytest.fixture
def files(tmp_path):
    """Empty files by name; a name that ends in / is an empty folder."""

    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).write_bytes(b"")
        return str(tmp_path)

    return make


def test_folder_of_class_folders(files, tmp_path):
    folder = files("train/b/2.mp4", "train/a/1.webm", "train/a/notes.txt", "val/b/3.avi")
    train = find_list(folder, "train")
    assert pairs(train) == [("a/1.webm", 0), ("b/2.mp4", 1)]
    assert train.paths[0] == str(tmp_path / "train" / "a" / "1.webm")
    assert train.classes.names == ("a", "b")
    assert pairs(find_list(folder, "val")) == [("b/3.avi", 1)]  # numbered as in training
    assert pairs(read_list(f"{folder}/val/")) == [("b/3.avi", 1)]
    (tmp_path / "classes.json").write_text('{"b": 0, "a": 1}')
    assert pairs(find_list(folder, "val")) == [("b/3.avi", 0)]
    (tmp_path / "classes.json").write_text('["a"]')
    with pytest.raises(DataError, match=r"val: the folder 'b' is no class of .*/classes\.json"):
        find_list(folder, "val")


def test_a_folder_that_training_does_not_know_is_an_error(files):
    folder = files("train/a/1.mp4", "test/b/2.mp4")
    with pytest.raises(DataError, match=r"test: the folder 'b' is no class of .*/train$"):
        find_list(folder, "test")


def test_hidden_and_empty_folders_are_no_classes(files):
    hidden = ("train/.git/2.mp4", "train/b/._1.mp4", "train/.x.mp4")
    folder = files("train/b/1.mp4", "train/a/", "train/c/notes.txt", *hidden)
    train = find_list(folder, "train")
    assert (pairs(train), train.classes.names) == ([("b/1.mp4", 0)], ("b",))


def test_numerals_are_numbered_by_their_value(files):
    folder = files(*(f"train/{n}/x.mp4" for n in range(1, 12)), "test/10/x.mp4", "test/2/x.mp4")
    assert find_list(folder, "train").classes.names == tuple(str(n) for n in range(1, 12))
    assert pairs(find_list(folder, "test")) == [("10/x.mp4", 9), ("2/x.mp4", 1)]


def test_a_test_alone_takes_the_numbering_of_its_network(files):
    folder = files("test/b/2.mp4")
    with pytest.raises(DataError, match=r"test: its classes are names, and nothing says their numbers"):
        find_list(folder, "test")
    trained = ClassNames(("a", "b"), "model.pyth")
    assert pairs(find_list(folder, "test", classes=trained)) == [("b/2.mp4", 1)]
    with pytest.raises(DataError, match=r"test: the folder 'b' is no class of model\.pyth"):
        find_list(folder, "test", classes=ClassNames(("a",), "model.pyth"))


def test_a_classes_json_must_agree_with_the_network(files, tmp_path):
    folder = files("test/b/2.mp4")
    (tmp_path / "classes.json").write_text('["b", "a"]')
    with pytest.raises(DataError, match=r"classes\.json: class 0 is 'b', but 'a' in model\.pyth: the classes differ"):
        find_list(folder, "test", classes=ClassNames(("a", "b"), "model.pyth"))
    assert pairs(find_list(folder, "test", classes=ClassNames(("b", "a"), "model.pyth"))) == [("b/2.mp4", 0)]


def test_a_folder_of_videos_is_a_list_without_labels(files):
    manifest = find_list(files("test/2.mp4", "test/1.mp4", "test/readme.txt"), "test")
    assert pairs(manifest) == [("1.mp4", -1), ("2.mp4", -1)]
    assert not manifest.labelled


def test_a_video_outside_the_class_folders_is_not_passed_over(files):
    with pytest.raises(DataError, match=r"train: '2\.mp4' lies beside the class folders, in none of them"):
        find_list(files("train/a/1.mp4", "train/2.mp4"), "train")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("a.mp4 zumba\nb.mp4 air drumming\n", "c.mp4 zumba\n"),
        ("a.mp4,zumba\nb.mp4,air drumming\n", "c.mp4\tzumba\n"),
    ],
)
def test_names_in_lists_are_numbered_by_the_training_list(tmp_path, train, test):
    (tmp_path / "train.csv").write_text(train)
    (tmp_path / "test.csv").write_text(test)
    assert pairs(find_list(str(tmp_path), "train")) == [("a.mp4", 1), ("b.mp4", 0)]
    assert pairs(find_list(str(tmp_path), "test")) == [("c.mp4", 1)]
    assert find_list(str(tmp_path), "test").classes.names == ("air drumming", "zumba")
    (tmp_path / "test.csv").write_text("c.mp4 salsa\n")
    with pytest.raises(DataError, match=r"test\.csv:1: the label 'salsa' is no class of .*train\.csv"):
        find_list(str(tmp_path), "test")


def test_names_beside_a_training_list_of_numbers_are_an_error(tmp_path):
    (tmp_path / "train.csv").write_text("a.mp4 0\nb.mp4 1\n")
    (tmp_path / "test.csv").write_text("c.mp4 zumba\n")
    with pytest.raises(DataError, match=r"test\.csv: its classes are names, and nothing says their numbers"):
        find_list(str(tmp_path), "test")


@pytest.mark.parametrize("training", ["train.csv", "train/zumba/a.mp4"])
def test_numbers_beside_a_training_list_of_names_are_an_error(tmp_path, files, training):
    """Nobody knows in which order the writer of the numbers counted the names."""
    files(training)
    if training == "train.csv":
        (tmp_path / training).write_text("a.mp4 zumba\nb.mp4 air drumming\n")
    (tmp_path / "test.csv").write_text("path label\nc.mp4 0\n")
    wanted = r"test\.csv:2: the label is a number, but .*/train.* has names; write names here too, or .* classes\.json"
    for read in (lambda: find_list(str(tmp_path), "test"), lambda: read_list(str(tmp_path / "test.csv"))):
        with pytest.raises(DataError, match=wanted):
            read()
    (tmp_path / "classes.json").write_text('["zumba", "air drumming"]')
    assert pairs(find_list(str(tmp_path), "test")) == [("c.mp4", 0)]


def test_numbers_beside_folders_that_are_these_numbers(files, tmp_path):
    folder = files("train/0/a.mp4", "train/1/b.mp4")
    (tmp_path / "test.csv").write_text("c.mp4 1\n")
    assert pairs(find_list(folder, "test")) == [("c.mp4", 1)]


def test_folders_in_class_folders_are_looked_into(files):
    below = ("train/b/day 1/2.mp4", "train/b/day 1/cut/3.mp4", "train/b/1.mp4", "train/a/x/.git/4.mp4")
    train = find_list(files(*below, "train/a/day 2/5.mp4"), "train")
    assert train.classes.names == ("a", "b")
    assert pairs(train) == [("a/day 2/5.mp4", 0), ("b/1.mp4", 1), ("b/day 1/2.mp4", 1), ("b/day 1/cut/3.mp4", 1)]


def test_whole_numbers_are_never_names(tmp_path):
    """A list that was written with numbers means the same beside classes whose names are numerals."""
    (tmp_path / "classes.json").write_text('["1", "2", "10"]')
    (tmp_path / "list.csv").write_text("a.mp4 1\n")
    assert pairs(read_list(str(tmp_path / "list.csv"))) == [("a.mp4", 1)]


@pytest.mark.parametrize(
    "content",
    [
        ["a.mp4", "b.mp4"],
        [{"path": "a.mp4"}, {"video": "b.mp4"}],
        {"a.mp4": None, "b.mp4": {}},
        {"x": {"path": "a.mp4", "label": ""}, "b.mp4": ""},
    ],
)
def test_json_without_labels(tmp_path, content):
    (tmp_path / "test.json").write_text(json.dumps(content))
    assert pairs(find_list(str(tmp_path), "test")) == [("a.mp4", -1), ("b.mp4", -1)]


def test_kinetics_own_test_list_without_labels(tmp_path):
    (tmp_path / "test.json").write_text(json.dumps({"0aXQ": {"annotations": {"segment": [23.0, 33.0]}}}))
    assert pairs(find_list(str(tmp_path), "test")) == [("0aXQ_000023_000033.mp4", -1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a.mp4": 7}', r"list\.json: entry 1: 'a\.mp4': label 7 is out of range, expected 0 to 4"),
        ('[["a.mp4", 0], ["b.mp4", -1]]', r"list\.json: entry 2: 'b\.mp4': label -1 is out of range, expected 0 to 4"),
        ('[["a.mp4", 0], ["b.mp4", "zumba"]]', r"list\.json: entry 2: 'b\.mp4': the label 'zumba' is a name, and no"),
        ('[["a.mp4", 0], "b.mp4"]', r"list\.json: entry 2: 'b\.mp4': has no label, as others"),
        ('{"a.mp4": true}', r"'a\.mp4': the label True is neither a whole number nor a name"),
        ('{"a.mp4": 1.5}', r"'a\.mp4': the label 1\.5 is neither a whole number nor a name"),
        ('{"a.mp4": [1]}', r"'a\.mp4': the label \[1\] is neither"),
        ('{"a": {"annotations": {"label": "b"}}}', r"'a': expected annotations with a \"segment\" of two numbers"),
        ('{"a": {"annotations": 3}}', r"'a': expected annotations with"),
        ("[3]", r"entry 1: expected a path and a label"),
        ("{\n", r"list\.json:2: not json"),
        ("[" * 100_000, "nested too deeply"),
        ("3", "expected a list or a mapping"),
        ("{}", "lists no videos"),
    ],
)
def test_faults_in_json(tmp_path, content, message):
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_list(str(tmp_path / "list.json"), num_classes=5)
    assert str(tmp_path / "list.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_list_is_asked_for_by_its_usual_name(tmp_path):
    with pytest.raises(DataError, match=r"holds no val\.csv, no val\.json and no folder val of class folders"):
        find_list(str(tmp_path), "val")


@pytest.mark.parametrize("content", ['{"a.mp4": 0, "b.mp4": 1}', '[["a.mp4", 0], ["b.mp4", 1]]'])
def test_a_faulty_video_is_found_in_the_json(tmp_path, content):
    (tmp_path / "list.json").write_text(content)
    manifest = read_list(str(tmp_path / "list.json"))
    assert manifest.with_location(1, "b.mp4: bad") == f"b.mp4: bad ({tmp_path}/list.json: entry 2)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('["a", "b", "a"]', "the name 'a' stands there twice"),
        ('{"a": 0, "b": 2}', "'b': the number 2 is wrong, expected 0 to 1, each once"),
        ('{"a": 0, "b": "x"}', "'b': the number 'x' is wrong"),
        ('{"a": 0, "b": null}', "'b': the number None is wrong"),
        ('{"a": 0, "b": 0}', "'b': the number 0 is wrong"),
        ("[1]", "expected a list of names"),
    ],
)
def test_faults_in_the_names_of_classes(tmp_path, content, message):
    (tmp_path / "classes.json").write_text(content)
    (tmp_path / "list.csv").write_text("a.mp4 0\n")
    with pytest.raises(DataError, match=message) as caught:
        read_list(str(tmp_path / "list.csv"))
    assert str(caught.value).startswith(f"{tmp_path}/classes.json: ")


def test_faults_in_folders(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="train: lists no videos"):
        find_list(str(tmp_path), "train", num_classes=3)
    for name in ("a", "b", "c"):
        (tmp_path / "train" / name).mkdir()
        (tmp_path / "train" / name / "x.mp4").write_bytes(b"")
    with pytest.raises(DataError, match=r"train: has 3 classes, expected 2 or fewer .MODEL.NUM_CLASSES.: 'c'"):
        find_list(str(tmp_path), "train", num_classes=2)
    (tmp_path / "list.json").mkdir()
    with pytest.raises(DataError, match=r"json: can't read it: Is a directory"):
        read_json(str(tmp_path / "list.json"))
