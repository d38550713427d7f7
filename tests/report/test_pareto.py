"""The picture of several budgets: its points, its front, and which milliseconds it shows."""

import pytest

from pytorchvideo_autox3d.report.pareto import draw_pareto


def row(metric, target, score, **costs):
    return {"gflops": 1.0, **costs, "score": score, "budgets": [{"metric": metric, "target": target}]}


def texts(axes):
    return [one.get_text() for one in axes.texts]


def test_milliseconds_are_those_measured_where_all_were():
    rows = [
        row("latency_ms", 20, 80.0, latency_ms=19.0, measured_ms=21.0),
        row("latency_ms", 10, 70.0, latency_ms=9.0, measured_ms=9.5),
    ]
    (axes,) = draw_pareto(rows).axes
    assert axes.get_xlabel() == "milliseconds of the whole network, measured"
    assert axes.collections[0].get_offsets().tolist() == [[9.5, 70.0], [21.0, 80.0]]
    assert texts(axes) == ["target 10", "target 20, over"]
    del rows[0]["measured_ms"]
    (axes,) = draw_pareto(rows).axes
    assert axes.get_xlabel() == "milliseconds by the latency table"
    assert axes.collections[0].get_offsets().tolist() == [[9.0, 70.0], [19.0, 80.0]]


def test_the_front_leaves_out_what_another_beats():
    cases = ((2, 1.5, 60), (3, 2.5, 55), (4, 3, 70))
    (axes,) = draw_pareto([row("gflops", target, score, gflops=cost) for target, cost, score in cases]).axes
    assert list(zip(*axes.lines[0].get_data(), strict=True)) == [(1.5, 60), (3, 70)]


@pytest.mark.parametrize(("scores", "panels"), [((70.0, 80.0), 2), ((None, 80.0), 1), ((None, None), 0)])
def test_a_panel_a_kind_of_budget_and_none_without_a_score(scores, panels):
    rows = [row("gflops", 2, scores[0]), row("latency_ms", 10, scores[1], latency_ms=9.0)]
    assert len(draw_pareto(rows).axes) == panels
