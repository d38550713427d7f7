import dataclasses
import math

from pytorchvideo_autox3d.report.confusion import draw_confusion, draw_per_class


def test_cells_show_counts_and_shares():
    figure = draw_confusion([[3, 1], [0, 0]], ["a", "b"], title="m")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["3", "1"]
    shades = [patch.get_alpha() for patch in axes.patches if patch.get_alpha() != 0.3]
    assert [round(shade, 2) for shade in shades] == [0.77, 0.31]  # 0.08 + 0.92 x 3/4 and x 1/4
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b"]


def test_many_classes_lose_their_names_not_their_cells():
    counts = [[int(i == j) for j in range(40)] for i in range(40)]
    axes = draw_confusion(counts, [str(i) for i in range(40)]).axes[0]
    assert not axes.texts
    assert len(axes.patches) == 40 * 40 + 40


def test_classes_run_from_the_easiest(report):
    axes = draw_per_class(report.named, ["hard", "easy"], chance=50.0).axes[0]
    # 96 + 70 against 84 + 70 percent: class 0 comes first.
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["hard", "easy"]
    assert list(axes.lines[0].get_xdata()) == [96.0, 84.0]


def test_a_class_without_videos_comes_last(report):
    model = dataclasses.replace(report.ours, per_class=[None, 10.0])
    axes = draw_per_class([model], ["empty", "full"]).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["full", "empty"]
    assert math.isnan(axes.lines[0].get_xdata()[1])
