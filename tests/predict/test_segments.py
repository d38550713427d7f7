import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo_autox3d.predict.segments import Segment, segments_of, smoothest_path


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 3), st.sampled_from([0.0, 0.2, 0.7, 3.0]))
def test_no_path_has_more_score_less_changes(seed, windows, classes, cost):
    score_NK = np.random.default_rng(seed).random((windows, classes))

    def value(path):
        changes = sum(a != b for a, b in itertools.pairwise(path))
        return sum(score_NK[n, k] for n, k in enumerate(path)) - cost * changes

    best = max(value(path) for path in itertools.product(range(classes), repeat=windows))
    assert value(smoothest_path(score_NK, cost)) == pytest.approx(best)


def segments(labels_of_windows, *, score=1.0, **options):
    """Windows of one second, every half second, each sure of one class, or by "-" of none."""
    score_NK = np.array([[score if name == label else 0.0 for label in "ab"] for name in labels_of_windows])
    windows = [(n / 2, n / 2 + 1) for n in range(len(labels_of_windows))]
    return segments_of(score_NK, windows, "ab", **{"duration": windows[-1][1] + 0.25, "min_seconds": 1.2, **options})


def test_what_lasts_is_a_segment_and_a_change_lies_between_the_middles():
    # The windows' middles are 0.5, 1, 1.5, ...; the change lies between the third's and the fourth's.
    assert segments("aaabbbb") == [Segment(0.0, 1.75, "a", 1.0), Segment(1.75, 4.25, "b", 1.0)]


def test_what_is_too_short_is_smoothed_away():
    assert [one.label for one in segments("aaabbaaa")] == ["a"]  # b for 1 second
    assert [one.label for one in segments("aaabbbaaa")] == ["a", "b", "a"]  # for 1.5
    assert [one.label for one in segments("aaabbbaaa", score=0.6)] == ["a"]  # unsure, it must last longer
    assert [one.label for one in segments("aabaa", min_seconds=0.0)] == ["a", "b", "a"]


def test_below_the_threshold_it_is_none_of_them():
    found = segments("aaaa----", threshold=0.9)
    assert [one.label for one in found] == ["a", "none of these"]
    assert found[1].score == 0.0


def test_one_window():
    assert segments("b", duration=0.3) == [Segment(0.0, 0.3, "b", 1.0)]
