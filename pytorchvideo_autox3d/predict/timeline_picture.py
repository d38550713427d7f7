"""A timeline as a picture: the segments as coloured bars, and below them the scores that they were made of."""

from __future__ import annotations

from collections import Counter

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from pytorchvideo_autox3d.predict.output import NONE_OF_THESE
from pytorchvideo_autox3d.predict.timeline import Timeline
from pytorchvideo_autox3d.report.style import (
    INK,
    MUTED,
    PAGE_WIDTH,
    RULE,
    SMALL_SIZE,
    bare_axes,
    new_figure,
    style_axes,
)

_NAMED = 8  # how many classes, those that last longest, have a colour and a curve of their own
_POINTS = 2000  # about as many points as a curve shows; more could not be told apart
_NARROWEST = 0.06  # a segment below this share of the picture's width has no room for its label


def draw_timeline(timeline: Timeline) -> Figure:
    """Draw the segments over time with their labels, and below them the scores of the classes that last longest."""
    lasting = Counter[str]()
    for segment in timeline.segments:
        lasting[segment.label] += segment.end - segment.start  # type: ignore[assignment]
    named = [label for label, _ in lasting.most_common() if label != NONE_OF_THESE][:_NAMED]
    palette = matplotlib.colormaps["tab10"]
    colours = {label: matplotlib.colors.to_hex(palette(n)) for n, label in enumerate(named)}
    figure = new_figure(PAGE_WIDTH, 3.4)
    bars, curves = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.4))
    _draw_segments(bars, timeline, colours)
    _draw_scores(curves, timeline, colours)
    figure.legend(*curves.get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=SMALL_SIZE)
    return figure


def _draw_segments(axes: matplotlib.axes.Axes, timeline: Timeline, colours: dict[str, str]) -> None:
    bare_axes(axes)
    axes.set_ylim(0, 1)
    for one in timeline.segments:
        colour = RULE if one.label == NONE_OF_THESE else colours.get(one.label, MUTED)
        axes.axvspan(one.start, one.end, 0.1, 0.9, facecolor=colour, edgecolor="white", linewidth=1)
        if one.end - one.start >= _NARROWEST * timeline.duration:
            dark = one.label == NONE_OF_THESE
            axes.text(
                (one.start + one.end) / 2, 0.5, f"{one.label}\n{one.score:.2f}", ha="center", va="center",
                color=INK if dark else "white", fontsize=SMALL_SIZE, clip_on=True,
            )  # fmt: skip
    axes.set_title(timeline.video, loc="left", fontsize=SMALL_SIZE, color=MUTED)


def _draw_scores(axes: matplotlib.axes.Axes, timeline: Timeline, colours: dict[str, str]) -> None:
    style_axes(axes, xlabel=_unit(timeline.duration)[1], ylabel="score")
    middles = np.array([(start + end) / 2 for start, end in timeline.windows])
    step = max(1, len(middles) // _POINTS)
    for label, colour in colours.items():
        score_N = timeline.score_NK[::step, timeline.labels.index(label)]
        marker = "." if len(middles) < 40 else None
        axes.plot(middles[::step], score_N, color=colour, linewidth=1.2, marker=marker, label=label)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(0, timeline.duration)
    scale = _unit(timeline.duration)[0]
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / scale:g}")
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(10, steps=[1, 2, 3, 5, 6, 10]))


def _unit(duration: float) -> tuple[float, str]:
    return (60.0, "minutes") if duration > 600 else (1.0, "seconds")
