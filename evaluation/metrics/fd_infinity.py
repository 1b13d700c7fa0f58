"""FD∞: the Fréchet distance that endlessly many generated pictures would have (Chong and Forsyth 2020).

A distance of n pictures lies above the true one by about 1/n of something that differs between models, so that order among
models can depend on n. Distances at several n, drawn as a line in 1/n, lead to the value at 0.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.metrics.base import METRICS, Estimate, check_rows
from evaluation.metrics.frechet import factor_of_features, from_factors
from evaluation.metrics.frechet_bootstrap import bootstrap_frechet
from evaluation.metrics.pictures import TwoSets
from evaluation.metrics.uncertainty import Floats, SmallSampleWarning, centred_interval
from evaluation.protocols import FDInfinityProtocol, sprites


class Line(NamedTuple):
    """The line through the distances, and how far they lie from it."""

    intercept: float  # FD∞
    slope: float  # how much of a distance of n pictures is bias, times n
    numbers: NDArray[np.int64]  # (points,) pictures n behind each distance
    distances: Floats  # (points,)

    @property
    def fitted(self) -> Floats:
        """Distances (points,) on the line."""
        return self.intercept + self.slope / self.numbers


def fit(generated: Tensor, real: Tensor, protocol: FDInfinityProtocol) -> Line:
    """The line of features (n, d) and (m, d). ValueError for too few generated pictures."""
    for side in (generated, real):
        check_rows(side, protocol.width, "features")
    reference = factor_of_features(real, protocol.ddof)
    numbers = sizes(len(generated), protocol)
    random = np.random.RandomState(protocol.seed)  # its stream is frozen
    distances = []
    for number in numbers:
        drawn = torch.from_numpy(random.permutation(len(generated))[:number]).to(generated.device)
        distances.append(float(from_factors(*factor_of_features(generated[drawn], protocol.ddof), *reference)))
    return _through(numbers, np.array(distances))


def sizes(n: int, protocol: FDInfinityProtocol) -> NDArray[np.int64]:
    """Numbers of pictures (points,) at which ``n`` generated ones are measured."""
    smallest = protocol.smallest if protocol.fewer == "refuse" else min(protocol.smallest, max(n // 10, 2))
    if n <= smallest or n < 2:
        raise ValueError(
            f"{protocol.id}: expected more than {smallest:,} generated pictures, got {n:,}; 'dgm' starts at a tenth of them"
        )
    return np.linspace(smallest, n, protocol.points).astype(np.int64)


def fd_infinity(generated: Tensor, real: Tensor, protocol: FDInfinityProtocol) -> list[Estimate]:
    """FD∞ of features (n, d) and (m, d), and the slope of its line. FD∞ can be below 0 by the error of the line.

    The interval has the spread of the distance of all pictures under the bootstrap, and that of the line under a bootstrap
    of its residuals. ValueError for too few pictures, SmallSampleWarning where all are fewer than features.
    """
    line = fit(generated, real, protocol)
    if len(generated) < protocol.width:
        warnings.warn(
            f"{protocol.id}: {len(generated):,} generated pictures for {protocol.width:,} features; so far from full rank "
            "the bias does not follow 1/n",
            SmallSampleWarning,
            stacklevel=2,
        )
    resampled = bootstrap_frechet(
        generated,
        real,
        replicates=protocol.replicates,
        seed=protocol.interval_seed,
        ddof=protocol.ddof,
        resampled="generated",
    )
    random = np.random.RandomState(protocol.interval_seed)
    residuals = line.distances - line.fitted
    redrawn = [
        _through(line.numbers, line.fitted + random.choice(residuals, len(residuals)))
        for _ in range(protocol.replicates)
    ]
    intercepts = np.array([each.intercept for each in redrawn]) + resampled - resampled.mean()
    slopes = np.array([each.slope for each in redrawn])
    return [
        Estimate(
            name=name,
            protocol=protocol.id,
            value=value,
            ci95=centred_interval(value, replicates),
            n=len(generated),
            higher_is_better=False,
            replicates=replicates,
        )
        for name, value, replicates in (("FD∞", line.intercept, intercepts), ("FD∞ slope", line.slope, slopes))
    ]


@METRICS.register("fd-infinity")
class FDInfinity(TwoSets[FDInfinityProtocol]):
    """FD∞: ``compute`` gives it, ``estimates`` the slope of its line too."""

    metric = "fd-infinity"
    default = sprites.FD_INFINITY
    kind = FDInfinityProtocol
    higher_is_better = False

    def compute(self) -> Tensor:
        """FD∞, () float64."""
        return torch.tensor(fit(*self._sides(), self.protocol).intercept, dtype=torch.float64)

    def _estimates(self) -> list[Estimate]:
        return fd_infinity(*self._sides(), self.protocol)


def _through(numbers: NDArray[np.int64], distances: Floats) -> Line:
    slope, intercept = np.polyfit(1 / numbers, distances, 1)
    return Line(float(intercept), float(slope), numbers, distances)
