"""Intervals for accuracies measured on few videos."""

import math

# Two-sided 95% quantile of the standard normal.
Z95 = 1.959963984540054


def wilson_interval(correct: float, total: int, *, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for a binomial proportion, as fractions in [0, 1].

    Unlike the textbook p +- z sqrt(p(1-p)/n) it stays inside [0, 1] and keeps its coverage near 0 and 1 and for
    small totals (Brown, Cai and DasGupta 2001). `correct` may be fractional: a rounded percentage times a count.
    """
    if total < 1:
        return 0.0, 1.0
    p, z2 = correct / total, z * z
    centre = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = z / (1 + z2 / total) * math.sqrt(p * (1 - p) / total + z2 / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def difference_interval(correct_a: float, correct_b: float, total: int) -> tuple[float, float]:
    """95% interval for accuracy a - accuracy b, as fractions: Newcombe's hybrid score interval (1998, method 10).

    It takes the two results as independent. Two models tested on the same videos usually err on the same ones,
    so the interval is, if anything, too wide.
    """
    if total < 1:
        return -1.0, 1.0
    p_a, p_b = correct_a / total, correct_b / total
    low_a, high_a = wilson_interval(correct_a, total)
    low_b, high_b = wilson_interval(correct_b, total)
    difference = p_a - p_b
    return (
        difference - math.hypot(p_a - low_a, high_b - p_b),
        difference + math.hypot(high_a - p_a, p_b - low_b),
    )
