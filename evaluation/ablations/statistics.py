"""What a grid of seeds says about a config: a mean with one interval over trainings and over samples, and paired differences.

A number of one training moves with two things: the seed of the training and the samples it was scored on. Every seed is scored
on the same samples, so neither averages the other out. Both are estimated, the first from the seeds (Student's t), the second
from bootstrap replicates that all trainings share, and their variances are added, with the degrees of freedom of Welch and
Satterthwaite (1946). What seeds and samples do together is in both, so an interval is a little too wide rather than too narrow.

Differences are taken seed by seed and draw by draw, which removes what the two configs have in common. Many differences against
one config are corrected by Holm's method (1979): the chance to call any of them significant by mistake stays below 5%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Interval = tuple[float, float]

LEVEL = 0.05


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

    seeds = None if estimate.k == 1 else cut(estimate.interval(estimate.of_seeds, estimate.k - 1))
    return Mean(
        value=estimate.value,
        ci95=cut(estimate.interval(estimate.variance, estimate.freedom)),
        ci95_seeds=seeds,
        ci95_samples=cut(estimate.interval(estimate.of_samples, math.inf)),
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
    return Difference(
        value=estimate.value,
        ci95=estimate.interval(estimate.variance, estimate.freedom),
        p_value=estimate.p_value,
    )


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

    @property
    def variance(self) -> float:
        """Of the mean, over seeds and samples."""
        return self.of_seeds + self.of_samples

    @property
    def freedom(self) -> float:
        """Degrees of freedom of :attr:`variance`; the replicates are so many that theirs count as infinite."""
        share = self.of_seeds / self.variance if self.variance > 0 else 0.0
        return (self.k - 1) / share**2 if share > 0 else math.inf

    @property
    def p_value(self) -> float:
        """Of a mean of nought, two-sided."""
        if self.variance == 0:  # nothing moves: a difference is one, and none is none
            return 1.0 if self.value == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.value) / math.sqrt(self.variance), self.freedom))

    def interval(self, variance: float, freedom: float) -> Interval:
        """95% interval around the value."""
        half = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * math.sqrt(variance)
        return self.value - half, self.value + half
