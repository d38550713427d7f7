"""The picture of several budgets from one search: accuracy against cost, with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from pytorchvideo_autox3d.report.style import BLUE, INK, MUTED, RULE, SMALL_SIZE, new_figure, style_axes

Row = Mapping[str, Any]


def draw_pareto(rows: Sequence[Row]) -> Figure:
    """Draw top-1 with the weights of the search against the cost, in a panel for each kind of budget.

    Args:
        rows: of a search's `pareto.json`: `score` in percent, the costs, and `budgets`, of which the first is the one
            that the row was derived for. Milliseconds are measured on the whole network where every row has them, and
            otherwise predicted by the latency table; the axis says which. Rows without a score are left out.
    """
    kinds = _kinds([row for row in rows if row["score"] is not None])
    figure = new_figure(4.6 * max(1, len(kinds)), 3.4)
    if not kinds:
        return figure
    for axes, (metric, chosen) in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds.items(), strict=True):
        cost, label = _axis(metric, chosen)
        names = {"xlabel": label, "ylabel": "top-1, %, weights of the search"}
        style_axes(axes, title="Accuracy against cost", grid="both", **names)
        _draw_panel(axes, chosen, cost)
    return figure


def _kinds(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows grouped by the metric that each was derived for, in the order of the targets."""
    kinds: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["budgets"][0]["target"]):
        kinds.setdefault(row["budgets"][0]["metric"], []).append(row)
    return kinds


def _axis(metric: str, rows: Sequence[Row]) -> tuple[str, str]:
    """The key of the cost in a row, and the label of its axis."""
    if metric == "latency_ms" and all("measured_ms" in row for row in rows):
        return "measured_ms", "milliseconds of the whole network, measured"
    labels = {"latency_ms": "milliseconds by the latency table", "gflops": "GFLOPs (multiply-adds)"}
    return metric, labels.get(metric, metric)


def _draw_panel(axes: Any, rows: Sequence[Row], cost: str) -> None:
    points = [(row[cost], row["score"]) for row in rows]
    front = [(x, y) for x, y in sorted(points) if not any(u <= x and v >= y and (u, v) != (x, y) for u, v in points)]
    axes.step(*zip(*front, strict=True), where="post", color=BLUE, linewidth=1.2, zorder=2)
    axes.scatter(*zip(*points, strict=True), s=34, color=BLUE, zorder=3)
    for row, (x, y) in zip(rows, points, strict=True):
        target = row["budgets"][0]["target"]
        axes.axvline(target, color=RULE, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            f"target {target:g}{'' if x <= target else ', over'}",
            (x, y),
            xytext=(0, 8 if (x, y) in front else -15),
            textcoords="offset points",
            ha="center",
            fontsize=SMALL_SIZE,
            color=INK if x <= target else MUTED,
        )
    axes.margins(x=0.18, y=0.22)
