"""Pictures of a search: its curve (the paper's Figure 4), the policy, the filters' coverage (Figure 3)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from pytorchvideo_autox3d.report.results import PolicyTable
from pytorchvideo_autox3d.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    PAGE_WIDTH,
    PAPER,
    RULE,
    SERIES,
    SMALL_SIZE,
    TEXT_SIZE,
    VERMILION,
    new_figure,
    style_axes,
)

History = Sequence[Mapping[str, Any]]


def draw_search_curve(
    history: History | Mapping[str, History],
    *,
    target_gflops: float | None = None,
    num_samples: int | None = None,
    warmup_epochs: int = 0,
) -> Figure:
    """Draw the GFLOPs of the most probable architecture, the policy's entropy and the effective sample size by epoch.

    Args:
        history: entries with `epoch` and any of `gflops`, `entropy` (nats), `ess`; or several such searches by name, as
            naive and fair selection in the paper's Figure 4. A key that no entry has gets no panel.
        target_gflops: the budget, drawn as a line.
        num_samples: K, the upper end of the effective sample size.
        warmup_epochs: epochs at the start with a frozen policy, shaded.
    """
    searches = history if isinstance(history, Mapping) else {"": history}
    panels: tuple[tuple[str, str, float | None, str], ...] = (
        ("gflops", "GFLOPs of the most probable architecture", target_gflops, "target\n"),
        ("entropy", "Policy entropy, nats", None, ""),
        ("ess", "Effective sample size", num_samples, "K = "),
    )
    panels = tuple(p for p in panels if any(p[0] in entry for h in searches.values() for entry in h))
    figure = new_figure(PAGE_WIDTH, 3.1)
    if not panels:
        return figure
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (key, title, line, name) in zip(all_axes, panels, strict=True):
        style_axes(axes, title=title, xlabel="epoch")
        # Until the warm-up ends no architecture is more probable than another.
        _draw_histories(axes, searches, key, after=warmup_epochs if key == "gflops" else 0)
        if line is not None:
            _bound(axes, line, f"{name}{line:.3g}")
        axes.set_ylim(bottom=0 if key != "gflops" else None)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if warmup_epochs:
            start = min(entry["epoch"] for h in searches.values() for entry in h) - 0.5
            axes.axvspan(start, start + warmup_epochs, color=RULE, alpha=0.35, linewidth=0)
    if len(searches) > 1:
        all_axes[0].legend(frameon=False, fontsize=SMALL_SIZE + 0.5, labelcolor=INK)
    return figure


def _draw_histories(axes: Any, searches: Mapping[str, History], key: str, *, after: int) -> None:
    for colour, (name, history) in zip(_cycle(len(searches)), searches.items(), strict=True):
        points = [
            (e["epoch"], e[key])
            for e in history
            if e["epoch"] > after and e.get(key) is not None and math.isfinite(e[key])
        ]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.8, label=name, solid_capstyle="round")


def _cycle(count: int) -> list[str]:
    return [SERIES[index % len(SERIES)] for index in range(count)]


def _bound(axes: Any, height: float, text: str) -> None:
    axes.axhline(height, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
    axes.annotate(
        text, (1.0, height), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
        fontsize=SMALL_SIZE, color=INK,
    )  # fmt: skip


def draw_policy(tables: Sequence[PolicyTable]) -> Figure:
    """Draw the probabilities of every decision, in a panel for each kind, with a row for each group.

    Each cell is a candidate, with its name inside; its shade is its probability, and the most probable one is outlined.
    A kind in which no group has a choice gets no panel.
    """
    tables = [table for table in tables if any(len(row) > 1 for row in table.candidates)]
    groups = max((len(table.candidates) for table in tables), default=1)
    columns = [max(len(row) for row in table.candidates) for table in tables]
    figure = new_figure(PAGE_WIDTH, 0.29 * groups + 0.75)
    if not tables:
        return figure
    all_axes = figure.subplots(1, len(tables), squeeze=False, width_ratios=columns)[0]
    for position, (axes, table) in enumerate(zip(all_axes, tables, strict=True)):
        _draw_table(axes, table, show_groups=position == 0, groups=groups)
    return figure


def _draw_table(axes: Any, table: PolicyTable, *, show_groups: bool, groups: int) -> None:
    style_axes(axes, title=table.kind.capitalize(), grid="")
    columns = max(len(row) for row in table.candidates)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(groups - 0.5, -0.5)
    for row, (names, shares) in enumerate(zip(table.candidates, table.probabilities, strict=True)):
        best = max(range(len(shares)), key=lambda index: shares[index])
        for column, (name, share) in enumerate(zip(names, shares, strict=True)):
            _draw_choice(axes, row, column, name, share, outlined=column == best and len(names) > 1)
    axes.set_xticks([])
    axes.set_yticks(range(groups) if show_groups else [], range(1, groups + 1) if show_groups else [])
    axes.set_ylabel("group" if show_groups else "", fontsize=TEXT_SIZE - 0.5, color=MUTED)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_choice(axes: Any, row: int, column: int, name: str, share: float, *, outlined: bool) -> None:
    corner, width, height = (column - 0.46, row - 0.44), 0.92, 0.88
    axes.add_patch(Rectangle(corner, width, height, facecolor=RULE, alpha=0.3, edgecolor="none"))
    axes.add_patch(Rectangle(corner, width, height, facecolor=BLUE, alpha=min(share, 1.0), edgecolor="none"))
    if outlined:
        axes.add_patch(Rectangle(corner, width, height, facecolor="none", edgecolor=INK, linewidth=1.1))
    axes.text(
        column, row, name, ha="center", va="center_baseline", fontsize=SMALL_SIZE - 0.5,
        color=PAPER if share > 0.6 else (INK if outlined or share > 0.25 else MUTED),
    )  # fmt: skip


def draw_coverage(coverage: Mapping[str, Sequence[Sequence[bool]]], *, title: str = "") -> Figure:
    """Draw which filters each channel candidate uses and how often each is used, by strategy (the paper's Figure 3).

    Args:
        coverage: for each strategy, such as "naive" and "fair", a boolean matrix, candidates x filters.
        title: above the picture.
    """
    candidates = max(len(matrix) for matrix in coverage.values())
    figure = new_figure(PAGE_WIDTH, 0.24 * candidates + 2.1)
    grid = figure.subplots(2, len(coverage), squeeze=False, height_ratios=[candidates * 0.24 + 0.2, 0.9])
    for column, (name, matrix) in enumerate(coverage.items()):
        colour = {"naive": VERMILION, "fair": BLUE}.get(name, GREEN)
        heading = f"{title}, {name}" if title else name.capitalize()
        _draw_windows(grid[0, column], matrix, colour, heading)
        _draw_counts(grid[1, column], matrix, colour)
    return figure


def _draw_windows(axes: Any, matrix: Sequence[Sequence[bool]], colour: str, title: str) -> None:
    style_axes(axes, title=title, ylabel="channels chosen", grid="")
    filters = len(matrix[0])
    for row, used in enumerate(matrix):
        axes.add_patch(Rectangle((0, row - 0.38), filters, 0.76, facecolor=RULE, alpha=0.35, edgecolor="none"))
        for start, end in _runs(used):
            axes.add_patch(Rectangle((start, row - 0.38), end - start, 0.76, facecolor=colour, edgecolor="none"))
    axes.set_xlim(0, filters)
    axes.set_ylim(len(matrix) - 0.5, -0.5)
    axes.set_yticks(range(len(matrix)), [str(sum(map(bool, used))) for used in matrix])
    axes.set_xticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _runs(used: Sequence[bool]) -> list[tuple[int, int]]:
    """[start, end) of every run of true entries."""
    edges = [i for i in range(len(used) + 1) if (i > 0 and bool(used[i - 1])) != (i < len(used) and bool(used[i]))]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _draw_counts(axes: Any, matrix: Sequence[Sequence[bool]], colour: str) -> None:
    total = len(matrix)
    counts = [sum(bool(used[i]) for used in matrix) for i in range(len(matrix[0]))]
    low, high = min(counts), max(counts)
    span = f"{low}" if low == high else f"{low} to {high}"
    style_axes(axes, xlabel=f"filter of the super-kernel (each used by {span} of {total} candidates)", ylabel="uses")
    axes.stairs(counts, color=colour, fill=True, alpha=0.85)
    axes.set_xlim(0, len(counts))
    axes.set_ylim(0, total)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
