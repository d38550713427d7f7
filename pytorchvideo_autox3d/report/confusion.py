"""Confusion matrices and accuracy by class."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pytorchvideo_autox3d.report.curves import model_styles
from pytorchvideo_autox3d.report.model_result import ModelResult
from pytorchvideo_autox3d.report.style import (
    BLUE,
    INK,
    MUTED,
    PAPER,
    RULE,
    SMALL_SIZE,
    VERMILION,
    new_figure,
    style_axes,
)

# With more classes than this, numbers and names would not be legible; the cells are drawn alone.
_MAX_NAMED = 24


def draw_confusion(confusion: Sequence[Sequence[int]], class_names: Sequence[str], *, title: str = "") -> Figure:
    """Draw a confusion matrix: rows are true classes, columns predicted ones.

    A cell's number is the count of videos, its shade the share of its row. Right answers, on the diagonal, have one hue
    and errors another.

    Args:
        confusion: counts of videos, row by row.
        class_names: in the order of the rows.
        title: above the picture.
    """
    count, named = len(class_names), len(class_names) <= _MAX_NAMED
    side = min(0.46 * count + 1.5, 9.0) if named else 6.0
    figure = new_figure(side, side - 0.2)
    axes = figure.subplots()
    style_axes(axes, title=title, xlabel="predicted", ylabel="true", grid="")
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_aspect("equal")
    for row, counts in enumerate(confusion):
        total = max(sum(counts), 1)
        for column, videos in enumerate(counts):
            _cell(axes, row, column, videos / total)
            if named and videos:
                _number(axes, row, column, videos, videos / total)
    axes.tick_params(length=0)
    ticks = range(count) if named else []
    axes.set_yticks(ticks, class_names if named else [])
    axes.set_xticks(ticks, class_names if named else [], rotation=90 if count > 3 else 0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _cell(axes: Any, row: int, column: int, share: float) -> None:
    corner, size = (column - 0.5 + 0.03, row - 0.5 + 0.03), 0.94
    axes.add_patch(Rectangle(corner, size, size, facecolor=RULE, alpha=0.3, edgecolor="none"))
    if share > 0:
        hue = BLUE if row == column else VERMILION
        axes.add_patch(Rectangle(corner, size, size, facecolor=hue, alpha=0.08 + 0.92 * share, edgecolor="none"))


def _number(axes: Any, row: int, column: int, videos: int, share: float) -> None:
    axes.text(
        column, row, str(videos), ha="center", va="center_baseline", fontsize=SMALL_SIZE + 0.5,
        color=PAPER if share > 0.6 else INK, fontweight="bold" if row == column else "normal",
    )  # fmt: skip


def draw_per_class(models: Sequence[ModelResult], class_names: Sequence[str], *, chance: float | None = None) -> Figure:
    """Draw the accuracy of each class with a mark for each model, the easiest class (mean over models) first.

    Args:
        models: with their accuracies by class.
        class_names: in label order.
        chance: accuracy of a guess, in percent, drawn as a line.
    """
    models = [model for model in models if model.per_class is not None]
    scores = [[math.nan if value is None else value for value in model.per_class or ()] for model in models]
    totals = [sum(row[k] for row in scores) for k in range(len(class_names))]
    # Classes without test videos, whose accuracy is NaN, come last.
    order = sorted(range(len(class_names)), key=lambda k: (math.isnan(totals[k]), -totals[k]))
    figure = new_figure(7.2, 0.30 * len(class_names) + 1.0)
    axes = figure.subplots()
    style_axes(axes, xlabel="accuracy, % of the class's test videos", grid="x")
    for index, (row, (colour, marker)) in enumerate(zip(scores, model_styles(models), strict=True)):
        # A little apart vertically, so that equal scores don't hide each other.
        offset = 0.16 * (index - (len(models) - 1) / 2)
        axes.plot(
            [row[k] for k in order], [rank + offset for rank in range(len(order))], linestyle="none", marker=marker,
            markersize=6, color=colour, label=models[index].name, clip_on=False,
        )  # fmt: skip
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_yticks(range(len(order)), [class_names[k] for k in order])
    axes.tick_params(axis="y", length=0)
    if chance is not None:
        axes.axvline(chance, color=MUTED, linewidth=1.0, linestyle=(0, (1, 2)))
        axes.text(chance + 1, -0.62, "chance", fontsize=SMALL_SIZE, color=MUTED, va="bottom")
    axes.legend(
        loc="lower left", bbox_to_anchor=(0.2, 1.0), ncols=len(models), frameon=False, fontsize=SMALL_SIZE + 0.5,
        labelcolor=INK, borderpad=0, handletextpad=0.3,
    )  # fmt: skip
    return figure
