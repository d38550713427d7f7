"""Spaces from yaml: the built-in ones, custom ones, and one-line refusals of bad ones."""

import pytest
import yaml

from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.space import load_space, space_from_dict, space_to_dict

GROUP = {
    "channels": [8, 16],
    "kernels": [[1, 3], [3, 3]],
    "expansions": {"min": 1.5, "max": 3, "step": 0.75},
    "attentions": ["none", "glore"],
    "blocks": 2,
    "stride": 2,
}
SPACE = {"name": "tiny", "stem": {"channels": 8}, "head": {"channels": 24, "hidden": 32}, "groups": [GROUP, GROUP]}


def write(path, data):
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return path


def without(mapping, key):
    return {name: value for name, value in mapping.items() if name != key}


def test_a_custom_space(tmp_path):
    space = load_space(write(tmp_path / "tiny.yaml", SPACE))
    assert space.name == "tiny"
    assert space.stem.channels == 8
    assert space.stem.temporal_kernel == 1
    assert (space.head.channels, space.head.hidden) == (24, 32)
    assert space.groups[1].expansions == (1.5, 2.25, 3.0)
    assert space.size == (2 * 2 * 3 * 2) ** 2


@pytest.mark.parametrize("name", ["table2", "table2-nonlocal"])
def test_a_space_survives_its_dictionary(name):
    space = load_space(name)
    assert space_from_dict(space_to_dict(space)) == space
    assert space_from_dict(yaml.safe_load(yaml.safe_dump(space_to_dict(space)))) == space


BAD = [
    ("no groups", without(SPACE, "groups"), "key 'groups' is missing"),
    ("nearest key", {**without(SPACE, "stem"), "stm": {}}, "did you mean 'stem'"),
    ("empty groups", {**SPACE, "groups": []}, "groups: expected a list"),
    ("no mapping", [1, 2], "expected keys and values, got list"),
    ("nothing", "", "got NoneType"),
    (
        "group key",
        {**SPACE, "groups": [GROUP, {**GROUP, "chanels": [8]}]},
        "group 2: unknown key 'chanels'; did you mean 'channels'",
    ),
    ("missing", {**SPACE, "groups": [GROUP, without(GROUP, "stride")]}, "group 2: key 'stride' is missing"),
    ("kernel", {**SPACE, "groups": [{**GROUP, "kernels": [[3, 4]]}]}, "group 1: kernels"),
    ("flat kernel", {**SPACE, "groups": [{**GROUP, "kernels": [3]}]}, "group 1: kernels: 3 is not a pair"),
    (
        "step",
        {**SPACE, "groups": [{**GROUP, "channels": {"min": 8, "max": 17, "step": 4}}]},
        "group 1: channels: steps of 4",
    ),
    (
        "step 0",
        {**SPACE, "groups": [{**GROUP, "channels": {"min": 8, "max": 16, "step": 0}}]},
        "group 1: channels: steps of 0",
    ),
    ("step key", {**SPACE, "groups": [{**GROUP, "channels": {"min": 8, "max": 16}}]}, "group 1: channels: key 'step'"),
    ("text", {**SPACE, "groups": [{**GROUP, "expansions": ["a"]}]}, "group 1: expansions: 'a' is not a number"),
    ("nan", {**SPACE, "groups": [{**GROUP, "expansions": [float("nan")]}]}, "group 1: expansions: nan"),
    ("blocks", {**SPACE, "groups": [{**GROUP, "blocks": "two"}]}, "group 1: blocks: 'two'"),
    ("stem", {**SPACE, "stem": {"temporal_kernel": 2}}, "stem.temporal_kernel 2 is even"),
    ("head", {**SPACE, "head": {"channels": -1}}, "head.channels: -1"),
    (
        "python tag",
        "name: !!python/object/apply:os.getcwd []\n",
        "bad.yaml:1: not plain yaml: could not determine a constructor",
    ),
    ("broken", "name: [tiny\ngroups: 1\n", "bad.yaml:2: not plain yaml"),
]


@pytest.mark.parametrize(("data", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_file_is_refused_in_one_line(tmp_path, data, message):
    path = write(tmp_path / "bad.yaml", data)
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(SpaceError, match="did you mean 'table2'"):
        load_space("tabel2")
