import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.errors import RegistryError, SearchError
from pytorchvideo_autox3d.registry import CHANNEL_SELECTION_REGISTRY
from pytorchvideo_autox3d.supernet import channel_windows
from pytorchvideo_autox3d.supernet.selection import naive_windows


def coverage(windows, width: int) -> tuple[int, ...]:
    """How many of the windows use each of `width` filters."""
    counts = Counter(itertools.chain.from_iterable(windows))
    return tuple(counts[filter_] for filter_ in range(width))


@pytest.mark.parametrize("parts", [1, 3, 5, 7, 9])
def test_published_case_uses_each_part_m_times(parts):
    # Supplement: N odd and sizes 1..N parts; each part belongs to exactly M = (N + 1) / 2 candidates.
    windows = channel_windows(range(1, parts + 1), parts, "fair")
    assert coverage(windows, parts) == ((parts + 1) // 2,) * parts


@pytest.mark.parametrize(
    ("sizes", "width"),
    [((12, 16, 20, 24, 28), 28), ((24, 32, 40, 48, 56, 64), 64), (tuple(range(96, 265, 24)), 264), ((7,), 7)],
)
def test_naive_coverage_falls_from_the_first_filter(sizes, width):
    counts = coverage(channel_windows(sizes, width, "naive"), width)
    assert counts == tuple(sum(size > filter_ for size in sizes) for filter_ in range(width))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_fair_coverage_differs_by_at_most_one(data):
    width = data.draw(st.integers(1, 60))
    sizes = data.draw(st.lists(st.integers(1, width), min_size=1, max_size=12))
    windows = channel_windows(sizes, width, "fair")
    for size, window in zip(sizes, windows, strict=True):
        assert len(window) == size
        assert len(set(window)) == size
        assert set(window) <= set(range(width))
    counts = coverage(windows, width)
    assert sum(counts) == sum(sizes)
    assert max(counts) - min(counts) <= 1
    # Any run of neighbouring candidates is as even, so one super-kernel can serve several lists of candidates.
    first = data.draw(st.integers(0, len(sizes) - 1))
    last = data.draw(st.integers(first, len(sizes) - 1))
    some = coverage(windows[first : last + 1], width)
    assert max(some) - min(some) <= 1


def test_windows_follow_one_another_around_the_ring():
    assert [tuple(window) for window in channel_windows([2, 3, 4], 5, "fair")] == [(0, 1), (2, 3, 4), (0, 1, 2, 3)]
    assert [tuple(window) for window in channel_windows([3, 4], 5, "fair")] == [(0, 1, 2), (3, 4, 0, 1)]


def test_bad_sizes_are_refused():
    with pytest.raises(SearchError, match="size 6 is not between 1 and the width 5"):
        channel_windows([6], 5)
    with pytest.raises(SearchError, match="no candidate"):
        channel_windows([], 5)
    with pytest.raises(RegistryError, match="did you mean 'fair'"):
        channel_windows([1], 5, "fare")


def test_a_strategy_can_be_registered():
    name = "naive-again"
    CHANNEL_SELECTION_REGISTRY.register(naive_windows, name=name)
    assert channel_windows([1, 2], 2, name) == channel_windows([1, 2], 2, "naive")
