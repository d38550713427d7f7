import itertools
import zipfile

import numpy as np
import pytest
import simplejson

from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.nasbench import table as module
from pytorchvideo_autox3d.nasbench.table import Table, all_architectures, read_table, write_table


def test_what_is_written_is_read(tmp_path, table, space):
    write_table(tmp_path / "one.npz", table)
    write_table(tmp_path / "two.npz", table)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    read = read_table(tmp_path / "one.npz")
    assert isinstance(read, Table)
    assert read.space == space
    assert read.card == table.card
    np.testing.assert_array_equal(read.test_right_NSE, table.test_right_NSE)
    np.testing.assert_array_equal(read.milliseconds_N, table.milliseconds_N)


def test_every_network_once_last_decision_fastest(space):
    networks = all_architectures(space)
    assert len(set(networks)) == len(networks) == space.size == 16
    expected = itertools.product([(1, 3), (3, 3)], [8, 16], [1.5, 3.0], ["none", "glore"])
    seen = [(a.groups[0].kernel, a.groups[0].channels, a.groups[0].expansion, a.groups[1].attention) for a in networks]
    assert seen == list(expected)


def test_missing_trainings(make_table):
    right = make_table().test_right_NSE.copy()
    right[4, 2] = -1
    trained = make_table(test_right_NSE=right).trained_NS
    assert not trained[4, 2]
    assert trained.sum() == 47


def test_another_version(tmp_path, table, monkeypatch):
    monkeypatch.setattr(module, "VERSION", 7)
    write_table(tmp_path / "t.npz", table)
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"t.npz: a table of version 7; this release reads version 1"):
        read_table(tmp_path / "t.npz")


def test_broken_files(tmp_path, table):
    with pytest.raises(DataError, match="no such table"):
        read_table(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("not a table")
    with pytest.raises(DataError, match=r"text.npz: not a table"):
        read_table(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", a=np.arange(3))
    with pytest.raises(DataError, match="without a version"):
        read_table(tmp_path / "other.npz")
    np.savez(tmp_path / "part.npz", version=np.array(1), space=np.array("{}"))
    with pytest.raises(DataError, match="lacks seeds"):
        read_table(tmp_path / "part.npz")
    write_table(tmp_path / "whole.npz", table)
    cut = (tmp_path / "whole.npz").read_bytes()[:400]
    (tmp_path / "cut.npz").write_bytes(cut)
    with pytest.raises(DataError, match=r"cut.npz: not a table"):
        read_table(tmp_path / "cut.npz")


@pytest.fixture
def altered(tmp_path, table):
    """Writes the table with arrays in other ones' place; None leaves one out."""

    def write(**changes):
        write_table(tmp_path / "whole.npz", table)
        with np.load(tmp_path / "whole.npz") as file:
            arrays = {**file, **changes}
        np.savez_compressed(tmp_path / "altered.npz", **{k: v for k, v in arrays.items() if v is not None})
        return tmp_path / "altered.npz"

    return write


def refused(path, said):
    with pytest.raises(DataError, match=said) as error:
        read_table(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_one_array_is_no_table(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(3))
    refused(tmp_path / "one.npy", "not a table of networks: one array")


@pytest.mark.parametrize("name", ["version", "macs", "card"])
def test_a_member_that_is_no_array(tmp_path, table, name):
    write_table(tmp_path / "t.npz", table)
    with zipfile.ZipFile(tmp_path / "t.npz") as whole, zipfile.ZipFile(tmp_path / "altered.npz", "w") as altered:
        for member in whole.namelist():
            altered.writestr(member, b"text" if member == f"{name}.npy" else whole.read(member))
    refused(tmp_path / "altered.npz", f"not a table of networks: {name} is no array")


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes(tmp_path, table, seed):
    write_table(tmp_path / "t.npz", table)
    data = bytearray((tmp_path / "t.npz").read_bytes())
    for place in np.random.default_rng(seed).integers(len(data), size=20):
        data[place] ^= 0xFF
    (tmp_path / "t.npz").write_bytes(data)
    refused(tmp_path / "t.npz", "")


@pytest.mark.parametrize(
    "version",
    [np.array("abc"), np.array(np.nan), np.array(1.5), np.array(1.0), np.array("2020-01-01", "M8[D]"), np.array([1])],
)
def test_versions_that_are_none(altered, version):
    refused(altered(version=version), r"a table of version .*; this release reads version 1")


@pytest.mark.parametrize("text", ["{not json", "[" * 100_000, "{", "", "9" * 5000])
@pytest.mark.parametrize("name", ["space", "card"])
def test_texts_that_are_no_json(altered, name, text):
    refused(altered(**{name: np.array(text)}), f"{name} is not JSON")


@pytest.mark.parametrize("text", ["{}", "3", '{"name": "tiny", "groups": []}'])
def test_a_wrong_space_names_the_file(altered, text):
    refused(altered(space=np.array(text)), "space: ")


CARD = {
    "videos": {"train": 1, "val": 304, "test": 152},
    "clip": [1, 1, 1],
    "num_classes": 1,
    "recipe": {"batch_size": 1},
}


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({}, "card: videos.train is None"),
        ([], "card: videos.train is None"),
        (3.0, "card: videos.train is None"),
        ({**CARD, "videos": {**CARD["videos"], "test": 0}}, "card: videos.test is 0"),
        ({**CARD, "videos": {**CARD["videos"], "val": 303}}, "val_right goes from 0 to 304, expected -1 to 303"),
        ({**CARD, "num_classes": "4"}, "card: num_classes is '4'"),
        ({**CARD, "recipe": 7}, "card: recipe.batch_size is None"),
        ({**CARD, "clip": [4, 16]}, r"card: clip is \[4, 16\]"),
        ({**CARD, "clip": [4, 16, 0.5]}, "card: clip is"),
    ],
)
def test_wrong_cards(altered, card, said):
    read_table(altered(card=np.array(simplejson.dumps(CARD))))
    refused(altered(card=np.array(simplejson.dumps(card))), said)


SHAPE = r"\(16, 3, 2\)"


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("epochs", np.array([1]), rf"val_right has int16 of shape {SHAPE}, expected .* \(16, 3, 1\)"),
        ("epochs", np.array([4, 2]), r"epochs are \[4, 2\]"),
        ("epochs", np.array([0, 4]), r"epochs are \[0, 4\]"),
        ("epochs", np.array([1.5, 4]), "epochs has float64"),
        ("seeds", np.array([0, 1]), rf"val_right has int16 of shape {SHAPE}"),
        ("seeds", np.array([0, 1, 1]), r"seeds are \[0, 1, 1\]"),
        ("macs", np.arange(5), r"macs has int64 of shape \(5,\), expected whole numbers of shape \(16,\)"),
        ("macs", np.array(["a"] * 16), "macs has <U1"),
        ("macs", np.arange(16), "macs holds 0"),
        ("seconds", np.ones((16, 3), complex), "seconds has complex128"),
        ("test_right", np.full((16, 3, 2), 0.5), "test_right has float64"),
        ("test_right", np.full((16, 3, 2), -2), "test_right goes from -2 to -2"),
        ("test_right", np.full((16, 3, 2), -1), "val_right is -1 for other trainings"),
        ("val_right", np.full((16, 3, 2), -1), "val_right is -1 for other trainings"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit(altered, name, array, said):
    refused(altered(**{name: array}), said)


def test_no_epochs_and_no_seeds(altered):
    counts = {f"{split}_{what}": np.zeros((16, 3, 0), int) for split in ("val", "test") for what in ("right", "loss")}
    refused(altered(epochs=np.arange(0), **counts), r"epochs are \[\]")
    counts = {name: np.zeros((16, 0, 2), int) for name in counts}
    refused(altered(seeds=np.arange(0), seconds=np.zeros((16, 0)), **counts), r"seeds are \[\]")
