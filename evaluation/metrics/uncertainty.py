"""How far a number would move with other samples: bootstrap and score intervals, paired differences.

Resampling is counter-based: equal (seed, stream, n) draw the same samples on every machine, so two models scored on the
same captions are compared on the same draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nuwa import noise

Floats = NDArray[np.float64]
Interval = tuple[float, float]

_Z95 = 1.959963984540054


class SmallSampleWarning(UserWarning):
    """A set is too small for its metric: the number stands, but it is biased or its interval is rough."""


def resampling_counts(n: int, replicates: int, seed: int, stream: str = "samples") -> Floats:
    """How often each of ``n`` samples is drawn in each bootstrap replicate, (replicates, n) float64, rows sum to n."""
    if n < 2 or replicates < 2:
        raise ValueError(f"bootstrap: expected at least 2 samples and replicates, got n={n}, replicates={replicates}")
    drawn = np.empty((replicates, n))
    key = noise.key("bootstrap", stream, seed, n)
    for replicate in range(replicates):  # row by row: 1,000 × 30,000 indices at once would take a quarter of a GiB
        drawn[replicate] = np.bincount(noise.integers(key, n, replicate, np.arange(n)), minlength=n)
    return drawn


def bootstrap_means(values: ArrayLike, replicates: int, seed: int, weights: ArrayLike | None = None) -> Floats:
    """Means (replicates,) of resampled ``values`` (n,); with ``weights`` (n,) the ratio Σ w·v / Σ w per draw."""
    values = np.asarray(values, dtype=np.float64)
    counts = resampling_counts(len(values), replicates, seed)
    share = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64)
    return (counts @ (values * share)) / (counts @ share)


def centred_interval(value: float, replicates: ArrayLike, low: float = -np.inf, high: float = np.inf) -> Interval:
    """95% interval around ``value`` as wide as the middle 95% of the replicates, cut to ``low``…``high``; it holds ``value``.

    Replicates are moved so that their mean is ``value``: resampling repeats samples, which raises a Fréchet distance
    and shifts every replicate, and plain percentiles would then leave the number outside its own interval.
    """
    replicates = np.asarray(replicates, dtype=np.float64)
    below, above = (float(edge) for edge in np.quantile(replicates - replicates.mean(), [0.025, 0.975]))
    return min(value, max(low, value + min(below, 0.0))), max(value, min(high, value + max(above, 0.0)))


def wilson_interval(share: float, n: float) -> Interval:
    """95% score interval of a proportion among ``n`` samples (Wilson 1927); sensible at 0 and 1, where others fail."""
    if not 0 <= share <= 1 or n <= 0:
        raise ValueError(f"proportion: expected a share in [0, 1] of n > 0 samples, got {share} of {n}")
    z2 = _Z95**2 / n
    centre = (share + z2 / 2) / (1 + z2)
    half = _Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n)) / (1 + z2)
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def clustered_wilson(correct: ArrayLike, total: ArrayLike) -> Interval:
    """95% interval of Σ correct / Σ total where the trials of one sample (n,) stand or fall together.

    Wilson's interval with the effective sample size of Korn and Graubard (1998): trials count less where samples are
    right or wrong as a whole. Samples without trials are left out; ValueError where none has any.
    """
    correct, total = np.asarray(correct, dtype=np.float64), np.asarray(total, dtype=np.float64)
    correct, total = correct[total > 0], total[total > 0]
    if not len(total):
        raise ValueError("proportion: expected at least one trial, got none; leave the number out")
    share = float(correct.sum() / total.sum())
    spread = float(np.square(correct - share * total).sum() / total.sum() ** 2)
    effective = share * (1 - share) / spread if spread > 0 else float(len(total))
    return wilson_interval(share, min(effective, float(total.sum())))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``value`` of one model minus that of another, its 95% interval, and a two-sided bootstrap p-value."""

    value: float
    ci95: Interval
    p_value: float


def paired_difference(value: float, other: float, replicates: ArrayLike, other_replicates: ArrayLike) -> Difference:
    """``value - other`` from bootstrap replicates (r,) of both, drawn with one seed from samples in the same order.

    The p-value is the share of replicates, moved to a mean of zero, at least as far from zero as the difference, with
    one added to both counts so that it is never 0.
    """
    first, second = np.asarray(replicates, dtype=np.float64), np.asarray(other_replicates, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"paired: expected replicates of equal number, got shapes {first.shape} and {second.shape}")
    difference = value - other
    moved = first - second
    moved = moved - moved.mean()
    extreme = int((np.abs(moved) >= abs(difference) - 1e-12 * max(abs(value), abs(other))).sum())
    return Difference(
        value=difference,
        ci95=centred_interval(difference, moved),
        p_value=(1 + extreme) / (1 + len(moved)),
    )
