import pytest

from pytorchvideo_autox3d.report import (
    PolicyTable,
    draw_coverage,
    draw_policy,
    draw_search_curve,
)


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_panels_follow_the_history_and_the_target_is_drawn():
    entries = [{"epoch": 1, "gflops": 3.0}, {"epoch": 2, "gflops": 2.1}]
    figure = draw_search_curve(entries, target_gflops=2.0, warmup_epochs=1)
    assert titles(figure) == ["GFLOPs of the most probable architecture"]
    curve, target = figure.axes[0].lines
    assert list(curve.get_ydata()) == [2.1]  # the first epoch was warm-up
    assert list(target.get_ydata()) == [2.0, 2.0]
    warm_up = figure.axes[0].patches[0]
    assert (warm_up.get_x(), warm_up.get_width()) == (0.5, 1.0)  # epochs count from 1


def test_two_searches_in_one_picture():
    entries = [{"epoch": 1, "gflops": 3.0, "entropy": 9.0, "ess": 4.0}]
    figure = draw_search_curve({"naive": entries, "fair": entries}, target_gflops=2.0, num_samples=13)
    assert len(figure.axes) == 3
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["naive", "fair"]


def test_the_likeliest_candidate_is_outlined():
    figure = draw_policy([PolicyTable("kernel", [["a", "b", "c"]], [[0.2, 0.7, 0.1]])])
    outlined = [patch for patch in figure.axes[0].patches if patch.get_edgecolor()[3] > 0]
    assert [patch.get_x() for patch in outlined] == [pytest.approx(1 - 0.46)]


def test_kinds_without_a_choice_have_no_panel():
    fixed = PolicyTable("kernel", [["a"]], [[1.0]])
    free = PolicyTable("channels", [["8", "16"]], [[0.5, 0.5]])
    assert titles(draw_policy([fixed, free])) == ["Channels"]
    assert titles(draw_policy([fixed])) == []


def test_coverage_draws_runs_and_counts():
    matrix = [[True, True, False, False], [True, False, True, True]]
    figure = draw_coverage({"fair": matrix})
    windows, counts = figure.axes
    bars = [(p.get_x(), p.get_width()) for p in windows.patches if p.get_alpha() is None]
    assert bars == [(0, 2), (0, 1), (2, 2)]
    assert list(counts.patches[0].get_data().values) == [2, 1, 1, 1]
    assert "each used by 1 to 2 of 2" in counts.get_xlabel()
