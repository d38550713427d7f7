"""The scripts of Tables 3 and 4 without their trainings: where blocks go, what they cost, and what is printed."""

import pytest

from pytorchvideo_autox3d.analysis import complexity
from pytorchvideo_autox3d.config import config_path, load_cfg
from pytorchvideo_autox3d.space import Architecture, load_space


@pytest.fixture(scope="module")
def scripts(load_script):
    for name in ("models_table", "view_scores", "paper_tables", "searched_rows"):
        load_script(name)
    return load_script("table3"), load_script("table4")


def test_blocks_by_hand_are_spread_over_their_stage(scripts):
    table3, _ = scripts
    space = load_space(str(config_path(table3.SPACE)))

    def positions(blocks):
        groups = table3.placed(space, blocks).groups
        return [number for number, group in enumerate(groups, start=1) if group.attention == "glore"]

    # X3D-S's stages have 3, 5, 11 and 7 blocks: the first of two stands in the middle, rounded up, the last at the end.
    assert positions({}) == []
    assert positions({1: 2}) == [2, 3]
    assert positions({2: 2}) == [3 + 3, 3 + 5]
    assert positions({3: 2, 4: 3}) == [8 + 6, 8 + 11, 19 + 3, 19 + 5, 19 + 7]


def test_rows_are_printed_beside_the_papers(scripts):
    table3, table4 = scripts
    from searched_rows import Network

    networks = [Network(str(number), 0.5 + number, 3.0, 10.0 * number) for number in range(6)]
    lines = table3.text(networks).splitlines()
    assert lines[2] == "| X3D-S | 3.4 | 1.96 | 72.9 | 3.00 | 0.5 | 0.0 |"
    assert lines[-1] == "| searched | 4.1 | 2.44 | 73.3 | 3.00 | 5.5 | 50.0 |"
    cfg = load_cfg(table4.SEARCH, ["SEARCH.TARGET_GFLOPS", 0.4])
    rows = [table4.Selection(name, cfg, Network(name, 0.3, 3.0, 50.0)) for name in ("naive", "fair")]
    assert table4.text(rows).splitlines()[2] == "| naive | 2.0 | 1.7 (-0.3) | 70.5 | 0.4 | 0.3 (-25.0%) | 50.0 |"


def test_the_space_of_table_4_is_table_2_with_two_things_open(scripts):
    _, table4 = scripts
    ours, whole = load_space(str(config_path(table4.SPACE))), load_space("table2")
    undecided = {decision.field for decision in ours.decisions if len(decision.candidates) > 1}
    assert undecided == {"channels", "expansion"}
    for one, other in zip(ours.groups, whole.groups, strict=True):
        assert (one.channels, one.expansions, one.blocks, one.stride) == (
            other.channels, other.expansions, other.blocks, other.stride,
        )  # fmt: skip
    assert ours.stem == whole.stem
    assert ours.head == whole.head
    widest = Architecture.from_indices(ours, [len(decision.candidates) - 1 for decision in ours.decisions])
    assert complexity(widest, clip=(13, 160, 160)).gflops > 2.0
