"""Architectures: validation against their space and JSON round trips."""

import dataclasses

import pytest
import simplejson
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.space import (
    Architecture,
    GroupChoice,
    GroupSpec,
    SearchSpace,
    load_space,
    space_to_dict,
)


def sample(name="table2", seed=0):
    return load_space(name).sample(torch.Generator().manual_seed(seed))


@st.composite
def architectures(draw):
    space = load_space(draw(st.sampled_from(["table2", "table2-nonlocal"])))
    if draw(st.booleans()):
        space = dataclasses.replace(space, name="mine", groups=space.groups[: draw(st.integers(1, 5))])
    return Architecture.from_indices(space, [draw(st.integers(0, len(d.candidates) - 1)) for d in space.decisions])


@settings(deadline=None, max_examples=25)
@given(architecture=architectures())
def test_json_round_trip(tmp_path_factory, architecture):
    path = tmp_path_factory.mktemp("architecture") / "a.json"
    architecture.to_json(path)
    again = Architecture.from_json(path)
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]


def test_json_is_self_contained(tmp_path):
    assert sample().to_dict()["space"] == "table2"
    custom = dataclasses.replace(load_space("table2"), name="mine")
    written = Architecture(sample().groups, custom).to_dict()
    assert written["space"] == space_to_dict(custom)
    # A changed space that kept a built-in's name is not that built-in.
    renamed = dataclasses.replace(load_space("table2-nonlocal"), name="table2")
    assert Architecture.from_dict(Architecture(sample().groups, renamed).to_dict()).space == renamed


def test_values_are_normalised():
    choice = GroupChoice(kernel=[3, 3], channels=24, expansion=3)
    assert choice.kernel == (3, 3)
    assert isinstance(choice.expansion, float)
    assert choice.attention == "none"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("channels", 13, "group 3: channels 13 is not one of 24, 32, 40, 48, 56, 64"),
        ("kernel", (7, 3), r"group 3: kernel 7x3\^2 is not one of 1x3\^2"),
        ("expansion", 2.0, "group 3: expansion 2 is not one of 1.5, 2.25"),
        ("attention", "nonlocal", "group 3: attention nonlocal is not one of none, glore"),
    ],
)
def test_a_value_outside_the_space_is_refused(field, value, message):
    groups = list(sample().groups)
    groups[2] = dataclasses.replace(groups[2], **{field: value})
    with pytest.raises(SpaceError, match=message):
        Architecture(groups)


def test_the_number_of_groups_must_fit():
    with pytest.raises(SpaceError, match="has 11 groups, the architecture 10"):
        Architecture(sample().groups[:10])


def edited(change):
    data = sample().to_dict()
    change(data)
    return simplejson.dumps(data)


BAD = [
    ("truncated", lambda: edited(lambda d: None)[:100], "a.json:1: not JSON"),
    ("list", lambda: "[]", "expected keys and values, got list"),
    ("value", lambda: edited(lambda d: d["groups"][4].update(channels=49)), "group 5: channels 49 is not one of"),
    ("type", lambda: edited(lambda d: d["groups"][4].update(channels="48")), "group 5: channels: '48' is of the wrong"),
    ("kernel", lambda: edited(lambda d: d["groups"][0].update(kernel=3)), "group 1: kernel: 3 is of the wrong type"),
    ("missing", lambda: edited(lambda d: d["groups"][1].pop("expansion")), "group 2: key 'expansion' is missing"),
    ("unknown", lambda: edited(lambda d: d["groups"][1].update(attn="none")), "group 2: unknown key 'attn'"),
    ("space", lambda: edited(lambda d: d.update(space="table3")), "space: no built-in space named 'table3'"),
    (
        "space dict",
        lambda: edited(lambda d: d.update(space={"name": "x"})),
        "space: the space: key 'groups' is missing",
    ),
    ("groups", lambda: edited(lambda d: d.update(groups=3)), "groups: expected a list, got int"),
]


@pytest.mark.parametrize(("make", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_file_is_refused_in_one_line(tmp_path, make, message):
    path = tmp_path / "a.json"
    path.write_text(make())
    with pytest.raises(SpaceError) as caught:
        Architecture.from_json(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_a_missing_file(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpaceError, match="not JSON"):
        Architecture.from_json(tmp_path / "a.json")
    with pytest.raises(SpaceError, match="no architecture file"):
        Architecture.from_json(tmp_path / "b.json")


def test_rows_are_what_a_config_and_a_log_say_of_it():
    space = SearchSpace(
        "two",
        (
            GroupSpec((4, 8), ((1, 3), (3, 5)), (1.5, 3.0), ("none",), blocks=1),
            GroupSpec((8,), ((3, 3),), (2.25,), ("glore",), blocks=1),
        ),
    )
    architecture = Architecture((GroupChoice((3, 5), 4, 3.0, "none"), GroupChoice((3, 3), 8, 2.25, "glore")), space)
    assert architecture.rows == [[[3, 5], 4, 3.0, "none"], [[3, 3], 8, 2.25, "glore"]]
    assert architecture.one_line() == "3x5^2/4/3/none; 3x3^2/8/2.25/glore"
