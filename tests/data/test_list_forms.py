import json

import pytest

from pytorchvideo_autox3d.data import find_list, read_list
from pytorchvideo_autox3d.data.list_forms import read_json
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
    assert manifest.classes == ("air drumming", "zumba")


def test_csv_with_names(tmp_path):
    (tmp_path / "list.csv").write_text('path,label\na b.mp4,zumba\nsub/c.mp4,"air drumming"\nd.mp4,1\n')
    (tmp_path / "classes.json").write_text(json.dumps(["air drumming", "zumba"]))
    assert pairs(read_list(str(tmp_path / "list.csv"))) == [*PAIRS, ("d.mp4", 1)]


def test_folder_of_class_folders(tmp_path):
    for name in ("train/b/2.mp4", "train/a/1.webm", "train/a/notes.txt", "val/b/3.avi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    train = find_list(str(tmp_path), "train")
    assert pairs(train) == [("a/1.webm", 0), ("b/2.mp4", 1)]
    assert train.paths[0] == str(tmp_path / "train" / "a" / "1.webm")
    (tmp_path / "classes.json").write_text('["a", "b"]')
    assert pairs(find_list(str(tmp_path), "val")) == [("b/3.avi", 1)]  # numbered as in training
    (tmp_path / "classes.json").write_text('["a"]')
    with pytest.raises(DataError, match=r"the folder 'b' is no class of classes\.json"):
        find_list(str(tmp_path), "val")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a.mp4": "zumba"}', r"list\.json: 'a\.mp4': the label 'zumba' is a name, and no classes\.json"),
        ('{"a.mp4": 7}', r"list\.json: 'a\.mp4': label 7 is out of range, expected 0 to 4"),
        ('[["a.mp4", 0], ["b.mp4", -1]]', r"list\.json: entry 2: label -1 is out of range, expected 0 to 4"),
        ('[["a.mp4", 0], ["b.mp4", "zumba"]]', r"list\.json: entry 2: the label 'zumba' is a name"),
        ('{"a.mp4": 1.5}', r"'a\.mp4': the label 1\.5 is neither a whole number nor a name"),
        ('{"a.mp4": [1]}', r"'a\.mp4': the label \[1\] is neither"),
        ('{"a.mp4": {"path": "b.mp4"}}', r"'a\.mp4': has no label"),
        ('{"a": {"annotations": {"label": "b"}}}', r"'a': expected annotations with a \"label\" and a \"segment\""),
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
    with pytest.raises(DataError, match=r"val\.csv: no such list"):
        find_list(str(tmp_path), "val")


@pytest.mark.parametrize("content", ['{"a.mp4": 0, "b.mp4": 1}', '[["a.mp4", 0], ["b.mp4", 1]]'])
def test_a_faulty_video_is_found_in_the_json(tmp_path, content):
    (tmp_path / "list.json").write_text(content)
    manifest = read_list(str(tmp_path / "list.json"))
    assert manifest.placed(1, "b.mp4: bad") == f"b.mp4: bad ({tmp_path}/list.json: entry 2)"


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
    for name in ("a", "b", "c"):
        (tmp_path / "train" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"train: has 3 classes, expected 2 or fewer: 'c'"):
        find_list(str(tmp_path), "train", num_classes=2)
    with pytest.raises(DataError, match="train: lists no videos"):
        find_list(str(tmp_path), "train", num_classes=3)
    (tmp_path / "list.json").mkdir()
    with pytest.raises(DataError, match=r"json: can't read it: Is a directory"):
        read_json(str(tmp_path / "list.json"))
