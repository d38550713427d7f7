"""Training curves, and accuracy against multiply-adds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from pytorchvideo_autox3d.report.model_result import ModelResult
from pytorchvideo_autox3d.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MUTED,
    PAGE_WIDTH,
    PURPLE,
    SMALL_SIZE,
    VERMILION,
    new_figure,
    spread,
    style_axes,
)

# Colour, marker of each role; a second model of the same role takes the next of `_MORE`.
_ROLE_STYLE = {
    "searched": (BLUE, "o"),
    "reference": (GREEN, "D"),
    "designed": (BLUE, "D"),
    "X3D": (VERMILION, "s"),
    "random": (GREY, "x"),
}
_MORE = ((PURPLE, "^"), (GREEN, "v"), (BLUE, "P"), (VERMILION, "*"))


def model_styles(models: Sequence[ModelResult]) -> list[tuple[str, str]]:
    """(colour, marker) of each model, chosen by its role, so that a model looks the same in every picture."""
    taken: set[tuple[str, str]] = set()
    styles = []
    for model in models:
        style = _ROLE_STYLE[model.role]
        if model.role != "random" and style in taken:
            style = next((more for more in _MORE if more not in taken), style)
        taken.add(style)
        styles.append(style)
    return styles


def draw_training_curves(models: Sequence[ModelResult], *, chance: float | None = None) -> Figure:
    """Draw training loss and top-1 by epoch, side by side; models without a history are left out.

    Top-1 is 100 minus the history's errors. Where the history has `val_top1_err`, that curve is solid and training's
    dashed beside it; else training's is drawn alone.

    Args:
        chance: accuracy of a guess, in percent, drawn as a dotted line.
    """
    figure = new_figure(PAGE_WIDTH, 3.4)
    loss_axes, top1_axes = figure.subplots(1, 2)
    style_axes(loss_axes, title="Training loss", xlabel="epoch")
    style_axes(top1_axes, title="Top-1 accuracy, %", xlabel="epoch")
    ends: list[list[tuple[float, float, str, str]]] = [[], []]
    for model, (colour, _) in zip(models, model_styles(models), strict=True):
        if not model.history:
            continue
        quiet = model.role == "random"
        line = {"color": colour, "linewidth": 0.8 if quiet else 1.8, "alpha": 0.6 if quiet else 1.0}
        ends[0].append((*_plot(loss_axes, _series(model.history, "loss"), **line), colour, model.name))
        train, held_out = (
            [(epoch, 100.0 - error) for epoch, error in _series(model.history, key)]
            for key in ("top1_err", "val_top1_err")
        )
        if held_out and not quiet:
            _plot(top1_axes, train, **{**line, "linewidth": 1.0, "linestyle": (0, (4, 2)), "alpha": 0.7})
        ends[1].append((*_plot(top1_axes, held_out or train, **line), colour, model.name))
    top1_axes.set_ylim(0, 100)
    loss_axes.set_ylim(bottom=0)
    for axes, labels in zip((loss_axes, top1_axes), ends, strict=True):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _label_ends(axes, labels)
    if chance is not None:
        _reference_line(top1_axes, chance, f"chance {chance:.3g}%")
    return figure


def _series(history: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """(epoch, value) of the entries that have a finite value."""
    return [
        (float(entry["epoch"]), float(entry[key]))
        for entry in history
        if entry.get(key) is not None and math.isfinite(entry[key])
    ]


def _plot(axes: Any, points: Sequence[tuple[float, float]], **line: Any) -> tuple[float, float]:
    """Draw the points; return the last one, or NaN where there are none."""
    if not points:
        return math.nan, math.nan
    axes.plot(*zip(*points, strict=True), solid_capstyle="round", **line)
    if len(points) == 1:
        axes.plot(*points[0], marker="o", markersize=3.5, **line)
    return points[-1]


def _label_ends(axes: Any, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Names at the right ends of the curves instead of a legend, moved apart where they would touch.

    Curves of one grey are named once.
    """
    shown, seen = [], set()
    for end in ends:
        name = "random" if end[2] == GREY else end[3]
        if math.isfinite(end[1]) and name not in seen:
            seen.add(name)
            shown.append((*end[:3], name))
    if not shown:
        return
    low, high = axes.get_ylim()
    heights = spread([end[1] for end in shown], 0.065 * (high - low))
    right = max(end[0] for end in shown)
    for (_, _, colour, name), height in zip(shown, heights, strict=True):
        axes.annotate(
            name, (right, height), (6, 0), textcoords="offset points", va="center", color=colour,
            fontsize=SMALL_SIZE + 0.5, fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def _reference_line(axes: Any, height: float, text: str) -> None:
    axes.axhline(height, color=MUTED, linewidth=1.0, linestyle=(0, (1, 2)))
    axes.annotate(
        text, (0.995, height), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
        ha="right", fontsize=SMALL_SIZE, color=MUTED,
    )  # fmt: skip


def draw_accuracy_cost(models: Sequence[ModelResult], *, num_test_videos: int, chance: float | None = None) -> Figure:
    """Draw top-1 with its 95% interval against GFLOPs (1e9 multiply-adds of one clip).

    Args:
        models: tested on the same videos.
        num_test_videos: on which the intervals rest.
        chance: accuracy of a guess, in percent, drawn as a line.
    """
    figure = new_figure(7.2, 3.8)
    axes = figure.subplots()
    style_axes(axes, xlabel="multiply-adds of one clip, GFLOPs", ylabel="top-1, %", grid="both")
    for model, (colour, marker) in zip(models, model_styles(models), strict=True):
        low, high = model.interval(num_test_videos)
        quiet = model.role == "random"
        axes.errorbar(
            model.gflops, model.top1, yerr=[[model.top1 - low], [high - model.top1]], color=colour, marker=marker,
            markersize=5 if quiet else 8, elinewidth=0.8 if quiet else 1.6, capsize=0,
            alpha=0.65 if quiet else 1.0,
        )  # fmt: skip
    costs = [model.gflops for model in models]
    _cost_limits(axes, min(costs), max(costs))
    bounds = [bound for model in models for bound in model.interval(num_test_videos)]
    floor = min(bounds) if chance is None else min(*bounds, chance)
    axes.set_ylim(max(0.0, floor - 4.0), min(102.0, max(bounds) + 4.0))
    _label_points(axes, models)
    if chance is not None:
        _reference_line(axes, chance, f"chance {chance:.3g}%")
    return figure


def _cost_limits(axes: Any, low: float, high: float) -> None:
    """Logarithmic when the costs span an order of magnitude; room at the right for the names."""
    if high > 8 * low:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.4, high * 2.2)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        span = max(high - low, 0.3 * high)  # costs that all but agree must not look far apart
        axes.set_xlim(low - 0.5 * span, high + 0.75 * span)


def _label_points(axes: Any, models: Sequence[ModelResult]) -> None:
    named = [model for model in models if model.role != "random"]
    randoms = [model for model in models if model.role == "random"]
    low, high = axes.get_ylim()
    heights = spread([model.top1 for model in named], 0.075 * (high - low))
    for model, height in zip(named, heights, strict=True):
        axes.annotate(
            f"{model.name}  {model.top1:.1f}", (model.gflops, height), (9, 0), textcoords="offset points",
            va="center", fontsize=SMALL_SIZE + 1, fontweight="bold", color=INK,
        )  # fmt: skip
    if randoms:
        leftmost = min(randoms, key=lambda model: model.gflops)
        axes.annotate(
            f"random (n = {len(randoms)})", (leftmost.gflops, leftmost.top1), (-8, 0), textcoords="offset points",
            ha="right", va="center", fontsize=SMALL_SIZE + 0.5, color=MUTED,
        )  # fmt: skip
