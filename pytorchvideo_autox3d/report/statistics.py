"""Intervals for accuracies measured on few videos, by statsmodels, which is imported when the first is computed."""


def wilson_interval(correct: float, total: int) -> tuple[float, float]:
    """Wilson's 95% score interval for a binomial proportion, as fractions in [0, 1].

    Unlike the textbook p +- z sqrt(p(1-p)/n) it stays inside [0, 1] and keeps its coverage near 0 and 1 and for
    small totals (Brown, Cai and DasGupta 2001). `correct` may be fractional: a rounded percentage times a count.
    """
    if total < 1:
        return 0.0, 1.0
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(correct, total, method="wilson")
    return max(0.0, float(low)), min(1.0, float(high))


def difference_interval(correct_a: float, correct_b: float, total: int) -> tuple[float, float]:
    """95% interval for accuracy a - accuracy b, as fractions: Newcombe's hybrid score interval (1998, method 10).

    It takes the two results as independent. Two models tested on the same videos usually err on the same ones,
    so the interval is, if anything, too wide.
    """
    if total < 1:
        return -1.0, 1.0
    from statsmodels.stats.proportion import confint_proportions_2indep

    low, high = confint_proportions_2indep(correct_a, total, correct_b, total, method="newcomb", compare="diff")
    return float(low), float(high)
