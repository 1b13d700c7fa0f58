"""What a grid of seeds says about a config: a mean with one interval over trainings and over samples, and paired differences.

A number of one training moves with two things: the seed of the training and the samples it was scored on. Every seed is scored
on the same samples, so neither averages the other out. The interval over seeds is Student's, that over samples comes from
bootstrap replicates that all trainings share, and both are made one by recovering their variances at the level in question
(Zou & Donner 2008): the squares of their half widths are added. With seeds alone that is the t-test, with samples alone the
normal interval, and in between it is rather too wide than too narrow, where Satterthwaite's would fail with two seeds.

Differences are taken seed by seed and draw by draw, which removes what the two configs have in common. Many differences against
one config are corrected by Holm's method (1979): the chance to call any of them significant by mistake stays below 5%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

Floats = NDArray[np.float64]
Interval = tuple[float, float]

LEVEL, DIGITS = 0.05, 15


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean over seeds with its 95% intervals: over both, over seeds with these samples, over samples with these seeds.

    ``ci95_seeds`` is None where there is one seed, which says nothing of other trainings; then ``ci95`` is that over samples.
    """

    value: float
    ci95: Interval
    ci95_seeds: Interval | None
    ci95_samples: Interval


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A mean less that of the config it is compared with, its 95% interval and the two-sided p-value, both over both."""

    value: float
    ci95: Interval
    p_value: float


def mean_over(values: ArrayLike, replicates: ArrayLike, low: float = -math.inf, high: float = math.inf) -> Mean:
    """Mean of ``values`` (k,), one a seed, with ``replicates`` (k, r) of each; intervals are cut to ``low``…``high``.

    ValueError for other shapes or numbers that are not finite.
    """
    estimate = _Estimate.of(values, replicates)

    def cut(interval: Interval) -> Interval:
        return min(estimate.value, max(low, interval[0])), max(estimate.value, min(high, interval[1]))

    return Mean(
        value=estimate.value,
        ci95=cut(estimate.interval(estimate.half(LEVEL))),
        ci95_seeds=None if estimate.k == 1 else cut(estimate.interval(estimate.half_seeds(LEVEL))),
        ci95_samples=cut(estimate.interval(estimate.half_samples(LEVEL))),
    )


def difference(values: ArrayLike, replicates: ArrayLike, first: ArrayLike, first_replicates: ArrayLike) -> Difference:
    """``values`` (k,) less ``first`` (k,), of the same seeds in the same order, each with its replicates (k, r).

    ValueError unless both have the same seeds and replicates.
    """
    ours, theirs = (np.asarray(each, dtype=np.float64) for each in (values, first))
    drawn, drawn_first = (np.asarray(each, dtype=np.float64) for each in (replicates, first_replicates))
    if ours.shape != theirs.shape or drawn.shape != drawn_first.shape:
        raise ValueError(
            f"paired: expected equal numbers of seeds and replicates, got {drawn.shape} and {drawn_first.shape}; score alike"
        )
    estimate = _Estimate.of(ours - theirs, drawn - drawn_first)
    return Difference(value=estimate.value, ci95=estimate.interval(estimate.half(LEVEL)), p_value=estimate.p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method, in their order.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable").tolist()):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected


@dataclass(frozen=True, kw_only=True)
class _Estimate:
    """The mean of k numbers, with the variance of that mean over seeds and over samples."""

    value: float
    k: int
    of_seeds: float
    of_samples: float

    @classmethod
    def of(cls, values: ArrayLike, replicates: ArrayLike) -> _Estimate:
        numbers, drawn = np.asarray(values, dtype=np.float64), np.asarray(replicates, dtype=np.float64)
        if numbers.ndim != 1 or drawn.ndim != 2 or len(drawn) != len(numbers) or not len(numbers) or drawn.shape[1] < 2:
            raise ValueError(
                f"seeds: expected values (k,) and replicates (k, r) with r >= 2, got {numbers.shape} and {drawn.shape}"
            )
        if not (np.isfinite(numbers).all() and np.isfinite(drawn).all()):
            raise ValueError("seeds: expected finite numbers, got NaN or infinity; leave the metric out")
        k = len(numbers)
        return cls(
            value=float(numbers.mean()),
            k=k,
            of_seeds=float(numbers.var(ddof=1)) / k if k > 1 else 0.0,
            of_samples=float(drawn.mean(axis=0).var(ddof=1)),
        )

    def half(self, level: float) -> float:
        """Half the width of the interval that leaves out ``level``, over seeds and samples."""
        return math.hypot(self.half_seeds(level), self.half_samples(level))

    def half_seeds(self, level: float) -> float:
        """Of the interval over seeds; nought with one seed."""
        return float(stats.t.isf(level / 2, self.k - 1)) * math.sqrt(self.of_seeds) if self.of_seeds > 0 else 0.0

    def half_samples(self, level: float) -> float:
        """Of the interval over samples."""
        return float(stats.norm.isf(level / 2)) * math.sqrt(self.of_samples) if self.of_samples > 0 else 0.0

    def interval(self, half: float) -> Interval:
        """Around the value."""
        return self.value - half, self.value + half

    @property
    def p_value(self) -> float:
        """The level at which the interval reaches nought; two-sided, and not below 1e-15."""
        if self.value == 0:
            return 1.0
        if self.half(10.0**-DIGITS) < abs(self.value):  # also where nothing moves: then a difference is one
            return 10.0**-DIGITS
        digits = optimize.brentq(lambda digits: self.half(10.0**-digits) - abs(self.value), 0, DIGITS, xtol=1e-12)
        return float(10.0**-digits)
