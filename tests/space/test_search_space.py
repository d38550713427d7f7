"""The design space of the paper's Table 2: its size, its sampling, and how it reads."""

import dataclasses

import pytest
import torch

from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.space import Architecture, GroupSpec, SearchSpace, StemSpec, load_space

# (group, min, max, step, blocks, stride), copied by hand from the paper's Table 2.
TABLE2 = [
    (1, 12, 28, 4, 1, 2),
    (2, 12, 28, 4, 2, 1),
    (3, 24, 64, 8, 2, 2),
    (4, 24, 64, 8, 3, 1),
    (5, 48, 132, 12, 2, 2),
    (6, 48, 132, 12, 3, 1),
    (7, 48, 132, 12, 3, 1),
    (8, 48, 132, 12, 3, 1),
    (9, 96, 264, 24, 2, 2),
    (10, 96, 264, 24, 2, 1),
    (11, 96, 264, 24, 3, 1),
]


@pytest.mark.parametrize(("group", "first", "last", "step", "blocks", "stride"), TABLE2)
def test_groups_are_those_of_table_2(group, first, last, step, blocks, stride):
    spec = load_space("table2").groups[group - 1]
    assert spec.channels == tuple(range(first, last + 1, step))
    assert (spec.blocks, spec.stride) == (blocks, stride)
    assert set(spec.kernels) == {(t, s) for t in (1, 3, 5) for s in (3, 5)}
    assert spec.expansions == (1.5, 2.25, 3.0, 3.75, 4.5, 5.25, 6.0)


@pytest.mark.parametrize(
    ("name", "attentions", "rounded"), [("table2", 2, "2.8e+30"), ("table2-nonlocal", 3, "2.4e+32")]
)
def test_size_is_exact(name, attentions, rounded):
    size = load_space(name).size
    assert size == (6 * 7 * attentions) ** 11 * 5**2 * 6**2 * 8**7
    assert f"{size:.2g}" == rounded


def test_a_sample_depends_on_the_generator_alone():
    space = load_space("table2")
    torch.manual_seed(1)
    first = space.sample(torch.Generator().manual_seed(5))
    torch.manual_seed(2)
    assert space.sample(torch.Generator().manual_seed(5)) == first
    assert space.sample(torch.Generator().manual_seed(6)) != first


def test_samples_are_uniform_over_every_decision():
    space = load_space("table2-nonlocal")
    count = 6000
    indices = space.sample_indices(count, torch.Generator().manual_seed(0))
    assert indices.shape == (count, len(space.decisions))
    for column, decision in zip(indices.T, space.decisions, strict=True):
        options = len(decision.candidates)
        frequency = torch.bincount(column, minlength=options) / count
        # Six standard deviations of a binomial proportion.
        bound = 6 * (1 / options * (1 - 1 / options) / count) ** 0.5
        assert (frequency - 1 / options).abs().max() < bound


def test_indices_and_architectures_are_inverse():
    space = load_space("table2-nonlocal")
    for row in space.sample_indices(20, torch.Generator().manual_seed(3)).tolist():
        assert list(Architecture.from_indices(space, row).indices) == row


@pytest.mark.parametrize("indices", [[0] * 43, [0] * 43 + [2], [-1] + [0] * 43])
def test_indices_outside_the_space_are_refused(indices):
    with pytest.raises(SpaceError, match=r"decisions|index"):
        Architecture.from_indices(load_space("table2"), indices)


def test_describe_prints_table_2():
    lines = load_space("table2").describe().splitlines()
    assert lines[1].split()[:2] == ["stem", "3x13x160^2"]
    group9 = next(line for line in lines if line.startswith("9 "))
    for cell in ("132x13x10^2", "96..264, 24", "1.5..6, 0.75", "3x5^2", "none glore"):
        assert cell in group9
    assert "2.8e+30 architectures" in lines[-1]


def test_a_space_is_a_value():
    space = load_space("table2")
    assert hash(space) == hash(dataclasses.replace(space))
    assert space == dataclasses.replace(space)
    assert space != load_space("table2-nonlocal")


GOOD = {
    "channels": (8, 16),
    "kernels": ((3, 3),),
    "expansions": (2.0,),
    "attentions": ("none",),
    "blocks": 1,
    "stride": 2,
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("channels", ()),
        ("channels", (8, 8)),
        ("channels", (8, 0)),
        ("channels", (8.0,)),
        ("kernels", ((2, 3),)),
        ("kernels", ((3, 3, 3),)),
        ("expansions", (0.0,)),
        ("attentions", (1,)),
        ("blocks", 0),
        ("stride", True),
        ("stride", 0),
        ("stride", 3),
        ("stride", 2.0),
    ],
)
def test_impossible_candidates_name_their_key(key, value):
    with pytest.raises(SpaceError, match=f"^{key}"):
        GroupSpec(**{**GOOD, key: value})


def space_of(*groups, stem=4):
    return SearchSpace("odd", tuple(GroupSpec(**{**GOOD, **group}) for group in groups), stem=StemSpec(stem))


@pytest.mark.parametrize(
    ("groups", "stem", "message"),
    [
        ([{"expansions": (2.0, 0.2)}], 4, "group 1: expansions: 0.2 times 4 channels is less than one channel"),
        ([{}, {"expansions": (0.1,)}], 4, "group 2: expansions: 0.1 times 8 channels"),
        ([{"channels": (2, 9), "blocks": 2, "expansions": (0.4,)}], 4, "group 1: expansions: 0.4 times 2 channels"),
    ],
)
def test_an_expansion_below_one_channel_is_refused(groups, stem, message):
    with pytest.raises(SpaceError, match=f"^{message}"):
        space_of(*groups, stem=stem)


def test_an_expansion_of_exactly_one_channel_is_a_space():
    space_of({"expansions": (0.25,)}, {"expansions": (0.125,)})
    space_of({"channels": (2, 9), "blocks": 1, "expansions": (0.25,)})  # one block: its input is the stem's


def test_a_space_needs_a_group():
    with pytest.raises(SpaceError, match="groups"):
        SearchSpace(name="empty", groups=())
