"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) of generated pictures.

A set's manifold are the balls around its samples that reach to the k-th nearest other sample. Precision is the share of
generated pictures in the manifold of real ones and recall the converse; density counts in how many balls of real pictures
a generated one lies, of the k expected; coverage is the share of real pictures with a generated one in their ball.
"""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from evaluation.metrics.base import METRICS, Estimate, check_rows
from evaluation.metrics.pictures import TwoSets
from evaluation.metrics.uncertainty import SmallSampleWarning, bootstrap_means, centred_interval, wilson_interval
from evaluation.protocols import PRDCProtocol, sprites

_CELLS = 1 << 24  # of a table of distances at a time: 128 MiB
_SAME = 1e-12  # squared distances below this share of the squared lengths are rounding errors of 0
FEWEST = 10_000  # pictures a side in published numbers


class Counts(NamedTuple):
    """What each picture of either side contributes, float64."""

    precision: Tensor  # (n,) 1 where a generated picture lies in a ball of a real one
    recall: Tensor  # (m,) 1 where a real picture lies in a ball of a generated one
    density: Tensor  # (n,) balls of real pictures around a generated one, over k
    coverage: Tensor  # (m,) 1 where a real picture's ball holds a generated one


def counts(generated: Tensor, real: Tensor, protocol: PRDCProtocol) -> Counts:
    """Contributions of features (n, d) and (m, d), from tables of distances that are never whole in memory.

    ValueError for no more than k pictures on a side.
    """
    for side, what in ((generated, "generated pictures"), (real, "real pictures")):
        check_rows(side, protocol.width, "features")
        if len(side) <= protocol.neighbours:
            least = protocol.neighbours + 1
            raise ValueError(
                f"{protocol.id}: expected at least {least} {what} for k = {protocol.neighbours}, got {len(side)}"
            )
    centre = real.double().mean(0)  # the closer to 0, the fewer digits are lost
    x, y = (_some(side, protocol).double() - centre for side in (generated, real))
    radii_x, radii_y = (_radii(side, protocol.neighbours) for side in (x, y))
    inside = torch.le if protocol.border == "inside" else torch.lt
    precision, density, nearest = [], [], torch.full_like(radii_y, math.inf)
    recalled = torch.zeros_like(radii_y, dtype=torch.bool)
    for rows in torch.arange(len(x), device=x.device).split(max(1, _CELLS // len(y))):
        table = _squared_distances(x[rows], y)
        balls = inside(table, radii_y)
        precision.append(balls.any(1))
        density.append(balls.sum(1))
        recalled |= inside(table, radii_x[rows, None]).any(0)
        nearest = torch.minimum(nearest, table.amin(0))
    return Counts(
        precision=torch.cat(precision).double(),
        recall=recalled.double(),
        density=torch.cat(density).double() / protocol.neighbours,
        coverage=inside(nearest, radii_y).double(),
    )


def prdc(generated: Tensor, real: Tensor, protocol: PRDCProtocol) -> list[Estimate]:
    """Precision, recall, density and coverage of features (n, d) and (m, d); the estimates' n counts generated pictures.

    Intervals are those of the pictures that are counted, beside manifolds that stay as they are. SmallSampleWarning for
    fewer than 10,000 pictures on a side, as balls shrink where there are more.
    """
    fewest = min(len(generated), len(real))
    if fewest < FEWEST:
        warnings.warn(
            f"{protocol.id}: {fewest:,} pictures a side, where published numbers have {FEWEST:,}; all four depend on how many "
            "there are, compare them only with numbers of the same n",
            SmallSampleWarning,
            stacklevel=2,
        )
    found = counts(generated, real, protocol)
    n = len(found.precision)
    return [_estimate(name, values.cpu().numpy(), n, protocol) for name, values in found._asdict().items()]


@METRICS.register("prdc")
class PRDC(TwoSets[PRDCProtocol]):
    """Precision, recall, density and coverage: ``compute`` gives precision, ``estimates`` all four."""

    metric = "prdc"
    default = sprites.PRDC
    kind = PRDCProtocol
    higher_is_better = True

    def compute(self) -> Tensor:
        """Precision, () float64 in 0…1."""
        return counts(*self._sides(), self.protocol).precision.mean()

    def _estimates(self) -> list[Estimate]:
        return prdc(*self._sides(), self.protocol)


def _estimate(name: str, values: np.ndarray, n: int, protocol: PRDCProtocol) -> Estimate:
    value = float(values.mean())
    replicates = bootstrap_means(values, protocol.replicates, protocol.interval_seed)
    share = name != "density"
    return Estimate(
        name=name,
        protocol=protocol.id,
        value=value,
        ci95=wilson_interval(value, len(values)) if share else centred_interval(value, replicates, low=0.0),
        n=n,
        higher_is_better=True,
        replicates=replicates,
    )


def _some(features: Tensor, protocol: PRDCProtocol) -> Tensor:
    if protocol.most is None or len(features) <= protocol.most:
        return features
    chosen = np.random.RandomState(protocol.seed).choice(len(features), protocol.most, replace=False)
    return features[torch.from_numpy(chosen).to(features.device)]


def _radii(features: Tensor, neighbours: int) -> Tensor:
    """Squared distance (n,) of each sample to its k-th nearest other one."""
    parts = features.split(max(1, _CELLS // len(features)))
    return torch.cat([_squared_distances(part, features).kthvalue(neighbours + 1).values for part in parts])


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    lengths = x.square().sum(1)[:, None] + y.square().sum(1)
    squared = lengths - 2 * (x @ y.T)
    return torch.where(squared < _SAME * lengths, 0.0, squared)
