"""Which filters of a super-kernel each candidate width uses (paper, section 4.2 and Figure 3).

A strategy is registered by name and maps (sizes, width) to one window a candidate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.layers.elastic import ChannelWindow
from pytorchvideo_autox3d.registry import CHANNEL_SELECTION_REGISTRY

Strategy = Callable[[Sequence[int], int], tuple[ChannelWindow, ...]]

# Columns that a coverage table shows at most where sizes share a common part.
_MOST_PARTS = 16


@CHANNEL_SELECTION_REGISTRY.register(name="naive")
def naive_windows(sizes: Sequence[int], width: int) -> tuple[ChannelWindow, ...]:
    """Every candidate takes the first filters: the last ones are used by the widest candidate alone."""
    return tuple(ChannelWindow(0, size, width) for size in sizes)


@CHANNEL_SELECTION_REGISTRY.register(name="fair")
def fair_windows(sizes: Sequence[int], width: int) -> tuple[ChannelWindow, ...]:
    """The candidates' windows one after another around a ring of the filters.

    Every filter is then used by floor(S / width) or ceil(S / width) candidates, S being the sum of the sizes: the
    least spread there can be. For the published case, N odd and sizes 1..N parts of N, each part is used by exactly
    (N + 1) / 2 candidates (paper, supplement). The same holds for any run of neighbours in `sizes`.
    """
    windows, start = [], 0
    for size in sizes:
        windows.append(ChannelWindow(start, size, width))
        start = (start + size) % width
    return tuple(windows)


def channel_windows(sizes: Sequence[int], width: int, strategy: str = "fair") -> tuple[ChannelWindow, ...]:
    """One window of a super-kernel of `width` filters for every candidate size.

    Args:
        sizes: filters of each candidate.
        width: filters of the super-kernel, at least the largest size.
        strategy: a name in CHANNEL_SELECTION: "fair" or "naive".
    Returns:
        sequences of filter numbers, in the order of `sizes`.
    Raises:
        SearchError: there are no sizes, or one is below 1 or above the width.
        RegistryError: no strategy has this name.
    """
    if not sizes:
        raise SearchError("channel_windows: no candidate sizes given")
    for size in sizes:
        if not 1 <= size <= width:
            raise SearchError(f"channel_windows: size {size} is not between 1 and the width {width}")
    select: Strategy = CHANNEL_SELECTION_REGISTRY.get(strategy)
    return select(sizes, width)


def coverage(windows: Iterable[Sequence[int]], width: int) -> tuple[int, ...]:
    """How many of the windows use each of `width` filters."""
    counts = [0] * width
    for window in windows:
        for channel in window:
            counts[channel] += 1
    return tuple(counts)


def coverage_table(sizes: Sequence[int], width: int, strategies: Sequence[str] = ("naive", "fair")) -> str:
    """The picture of the paper's Figure 3 as text: a row a candidate, a column a filter, and the update counts.

    A column stands for a part of filters that every candidate takes or leaves as one, headed by its first filter.
    """
    parts = []
    for strategy in strategies:
        windows = channel_windows(sizes, width, strategy)
        columns = _columns(windows, width)
        counts = coverage(windows, width)
        cells = [["filter", *(str(column) for column in columns)]]
        for window in windows:
            used = set(window)
            cells.append([str(len(window)), *("#" if column in used else "." for column in columns)])
        cells.append(["used by", *(str(counts[column]) for column in columns)])
        cells.append(["update", *(f"{counts[column] / len(sizes):.2f}" for column in columns)])
        spans = [max(map(len, column)) for column in zip(*cells, strict=True)]
        rows = ["  ".join(cell.rjust(span) for cell, span in zip(row, spans, strict=True)) for row in cells]
        parts.append("\n".join([f"{strategy} selection, {width} filters", *rows]))
    return "\n\n".join(parts)


def _columns(windows: Sequence[ChannelWindow], width: int) -> list[int]:
    """The first filter of every part: those of Figure 3 if they are few, else what all windows treat alike."""
    part = math.gcd(width, *(window.width for window in windows))
    if width // part <= _MOST_PARTS:
        return list(range(0, width, part))
    edges = {0}
    for window in windows:
        edges |= {window.start, (window.start + window.width) % width}
    return sorted(edges)
