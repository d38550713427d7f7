import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo_autox3d.report.statistics import difference_interval, wilson_interval

Z = 1.959963984540054


@given(total=st.integers(1, 500), data=st.data())
@settings(deadline=None, max_examples=60)
def test_wilson_ends_are_where_the_score_test_just_rejects(total, data):
    correct = data.draw(st.integers(0, total))
    p = correct / total
    for bound in wilson_interval(correct, total):
        # By definition: |p - bound| = z sqrt(bound (1 - bound) / n), unless the bound was cut at 0 or 1.
        assert math.isclose((p - bound) ** 2, Z**2 * bound * (1 - bound) / total, rel_tol=1e-9, abs_tol=1e-12)


def test_difference_matches_newcombes_published_example():
    # Newcombe 1998, Table II, method 10, contrast 10/10 - 0/10.
    low, high = difference_interval(10, 0, 10)
    assert low == pytest.approx(0.6075, abs=5e-5)
    assert high == pytest.approx(1.0, abs=1e-9)


@given(a=st.integers(0, 80), b=st.integers(0, 80))
@settings(deadline=None, max_examples=40)
def test_difference_is_antisymmetric_and_holds_the_estimate(a, b):
    low, high = difference_interval(a, b, 80)
    assert low - 1e-12 <= (a - b) / 80 <= high + 1e-12
    assert difference_interval(b, a, 80) == pytest.approx((-high, -low))


def test_no_videos_say_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert difference_interval(0, 0, 0) == (-1.0, 1.0)
