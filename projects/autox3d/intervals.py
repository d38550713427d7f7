"""Intervals of differences between networks that were trained from a few seeds each.

Shapes: N networks, S seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, and the degrees of freedom that the error was estimated with."""

    mean: float
    error: float
    freedom: float


def of_networks(accuracy_N: np.ndarray) -> Estimate:
    """The mean over networks; their spread holds that of their trainings."""
    return Estimate(float(accuracy_N.mean()), float(stats.sem(accuracy_N)), len(accuracy_N) - 1)


def of_trainings(accuracy_S: np.ndarray, deviation: float, freedom: int) -> Estimate:
    """The mean over one network's trainings, by the standard deviation of one of them over all networks."""
    return Estimate(float(accuracy_S.mean()), deviation / len(accuracy_S) ** 0.5, freedom)


def bootstrapped(statistic: Callable[[np.ndarray], float], count: int, *, draws: int = 1000, seed: int = 0) -> Estimate:
    """A statistic of `count` things, its error by resampling them.

    Args:
        statistic: of the numbers of some of them, in [0, count), which may repeat.
        count: how many there are.
        draws: how often they are resampled.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    values = [statistic(random.integers(count, size=count)) for _ in range(draws)]
    return Estimate(statistic(np.arange(count)), float(np.std(values, ddof=1)), count - 1)


def training_deviation(accuracy_NS: np.ndarray) -> tuple[float, int]:
    """The standard deviation between trainings of a network, pooled over networks, and its degrees of freedom."""
    networks, seeds = accuracy_NS.shape
    return float(np.sqrt(accuracy_NS.var(axis=1, ddof=1).mean())), networks * (seeds - 1)


def difference(own: Estimate, other: Estimate) -> tuple[float, float, float]:
    """By how much `own` is above `other`, and the 95% interval: Welch's, of independent means of unequal variance."""
    variances = (own.error**2, other.error**2)
    mean, error = own.mean - other.mean, sum(variances) ** 0.5
    if not error:
        return mean, mean, mean
    freedom = error**4 / sum(v**2 / one.freedom for v, one in zip(variances, (own, other), strict=True))
    half = float(stats.t.ppf(0.975, freedom)) * error
    return mean, mean - half, mean + half
