import dataclasses

import pytest
from matplotlib.colors import same_color
from matplotlib.patches import Circle, FancyBboxPatch

from pytorchvideo_autox3d.report.architecture import draw_architecture, kernel_colours, kernel_name
from pytorchvideo_autox3d.space import Architecture, GroupChoice, GroupSpec, SearchSpace


@pytest.fixture
def small():
    """Two stages: a group of two blocks with GloRe after it, and one of one block, twice as wide."""
    common = {"kernels": ((3, 3), (1, 5)), "expansions": (2.0, 4.0), "attentions": ("none", "glore")}
    space = SearchSpace(
        "small",
        (
            GroupSpec(channels=(12, 16), blocks=2, stride=2, **common),
            GroupSpec(channels=(24, 32), blocks=1, stride=2, **common),
        ),
    )
    return Architecture((GroupChoice((3, 3), 16, 2.0, "glore"), GroupChoice((1, 5), 32, 4.0, "none")), space)


def boxes(figure, kernel):
    fill = kernel_colours(kernel)[0]
    found = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    return [b for b in found if same_color(b.get_facecolor(), fill) and b.get_height() > 20]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_one_box_a_block_its_width_the_expansion(small):
    figure = draw_architecture(small)
    first, second = boxes(figure, (3, 3)), boxes(figure, (1, 5))
    assert (len(first), len(second)) == (2, 1)
    assert second[0].get_width() == pytest.approx(2 * first[0].get_width())
    assert texts(figure).count("16") == 2
    assert texts(figure).count("32") == 1


def test_depth_multiplies_the_blocks(small):
    assert len(boxes(draw_architecture(small, depth_factor=2.0), (3, 3))) == 4


def test_many_blocks_become_groups_with_a_count(small):
    figure = draw_architecture(small, depth_factor=20.0)
    assert "×40" in texts(figure)
    assert texts(figure).count("16") == 1


def test_attention_is_marked_only_where_chosen(small):
    without = dataclasses.replace(small.groups[0], attention="none")
    circles = [
        sum(isinstance(p, Circle) for p in draw_architecture(a).axes[0].patches)
        for a in (small, Architecture((without, small.groups[1]), small.space))
    ]
    assert circles == [2, 1]  # one in the legend


def test_resolution_of_each_stage(small):
    # 31 -> 16 by the stem, then 8 and 4: every stride rounds up.
    assert {"5 × 16²", "5 × 8²", "5 × 4²"} <= set(texts(draw_architecture(small, clip=(5, 31, 31))))


def test_title_and_everything_inside_the_figure(architecture):
    figure = draw_architecture(architecture, title="S", clip=(13, 160, 160))
    figure.canvas.draw()
    assert "S" in texts(figure)
    bounds = figure.bbox
    for artist in [*figure.axes[0].patches, *figure.axes[0].texts]:
        box = artist.get_window_extent()
        assert box.x0 >= bounds.x0 - 1
        assert box.x1 <= bounds.x1 + 1
        assert box.y0 >= bounds.y0 - 1
        assert box.y1 <= bounds.y1 + 1


def test_kernel_names():
    assert [kernel_name(kernel) for kernel in ((3, 5), (5, 1))] == ["3×5²", "5×1²"]
