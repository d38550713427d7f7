"""Which filters of a super-kernel each candidate width uses (paper, section 4.2 and Figure 3).

A strategy is registered by name; it maps (sizes of the candidates, filters of the super-kernel) to one window for each
candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytorchvideo_autox3d.errors import SearchError
from pytorchvideo_autox3d.layers.windows import ChannelWindow
from pytorchvideo_autox3d.registry import CHANNEL_SELECTION_REGISTRY

Strategy = Callable[[Sequence[int], int], tuple[ChannelWindow, ...]]


@CHANNEL_SELECTION_REGISTRY.register(name="naive")
def naive_windows(sizes: Sequence[int], width: int) -> tuple[ChannelWindow, ...]:
    """Every candidate takes the first filters, so the last ones are used by the widest candidate alone."""
    return tuple(ChannelWindow(0, size, width) for size in sizes)


@CHANNEL_SELECTION_REGISTRY.register(name="fair")
def fair_windows(sizes: Sequence[int], width: int) -> tuple[ChannelWindow, ...]:
    """Lay the candidates' windows one after another around a ring of the filters.

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
    """Choose a window of a super-kernel for every candidate size.

    Args:
        sizes: filters of each candidate.
        width: filters of the super-kernel, at least the largest size.
        strategy: a name in CHANNEL_SELECTION: "fair", "naive" or one of yours.
    Returns:
        One window for each candidate, in the order of `sizes`.
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
