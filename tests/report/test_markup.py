import pytest

from pytorchvideo_autox3d.report.markup import count, points, significant


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04731, "0.0473"), (1.956, "1.96"), (152.4, "152"), (0, "0"), (12345.0, "12345"), (float("nan"), "–")],
)
def test_three_digits_without_exponents(value, text):
    assert significant(value) == text


@pytest.mark.parametrize(("value", "text"), [(3_794_322, "3.79 M"), (913_400, "913 k"), (640, "640")])
def test_counts(value, text):
    assert count(value) == text


def test_points_have_a_sign():
    assert [points(value) for value in (3.14, -0.6)] == ["+3.1", "−0.6"]
