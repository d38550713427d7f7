"""Blocks, strides and squeeze-excitation that follow from a space."""

import pytest

from pytorchvideo_autox3d.errors import SpaceError
from pytorchvideo_autox3d.space import block_plan, inner_width, load_space, stages


def test_stages_of_table_2():
    assert stages(load_space("table2")) == ((0, 1), (2, 3), (4, 5, 6, 7), (8, 9, 10))


@pytest.mark.parametrize(("depth_factor", "total"), [(1.0, 26), (2.0, 52), (1.5, 42), (0.5, 16)])
def test_depth(depth_factor, total):
    # By hand: 26 blocks of sizes 1, 2, 2, 3, 2, 3, 3, 3, 2, 2, 3; each rounded up, as X3D rounds repeats.
    assert sum(map(len, block_plan(load_space("table2"), depth_factor))) == total


def test_every_other_block_of_a_stage_has_squeeze_excitation():
    space = load_space("table2")
    plan = block_plan(space)
    for stage in stages(space):
        blocks = [block for group in stage for block in plan[group]]
        assert [block.squeeze_excite for block in blocks] == [i % 2 == 0 for i in range(len(blocks))]
        assert [block.stride for block in blocks] == [2] + [1] * (len(blocks) - 1)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_depth_is_refused(factor):
    with pytest.raises(SpaceError, match="depth_factor"):
        block_plan(load_space("table2"), factor)


def test_expansion_is_relative_to_the_input():
    assert [inner_width(24, e) for e in (1.5, 2.25, 6.0)] == [36, 54, 144]
    assert inner_width(1, 0.25) == 1
