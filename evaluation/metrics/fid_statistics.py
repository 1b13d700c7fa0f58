"""FID against precomputed statistics: a mean and a covariance stand for the real pictures."""

from __future__ import annotations

import typing

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import Estimate, check_rows
from evaluation.metrics.fid import warn_if_small
from evaluation.metrics.frechet import factor, from_factors
from evaluation.metrics.uncertainty import centred_interval, resampling_counts
from evaluation.protocols import FIDProtocol


class Gaussian(typing.Protocol):
    """A mean (d,) and a covariance (d, d), float64; :class:`evaluation.inputs.Statistics` is one."""

    @property
    def mean(self) -> Tensor:
        """(d,)."""

    @property
    def covariance(self) -> Tensor:
        """(d, d)."""


def fid_to_statistics(generated: Tensor, real: Gaussian, protocol: FIDProtocol) -> Estimate:
    """FID of features (n, d) to statistics of real pictures; the bootstrap draws the generated ones again.

    Whether the statistics were made under this protocol, only their maker knows. ValueError for statistics of another
    width; SmallSampleWarning for fewer pictures than features.
    """
    if protocol.drop_last_of is not None:
        generated = generated[: len(generated) - len(generated) % protocol.drop_last_of]
    check_set(len(generated), "generated pictures")
    check_rows(generated, protocol.width, "features")
    if len(real.mean) != protocol.width:
        raise ValueError(
            f"{protocol.id}: expected statistics of {protocol.width} features, got {len(real.mean)}; they are of another "
            "network or layer"
        )
    warn_if_small(len(generated), protocol, "generated pictures")
    x = generated.double() - real.mean.to(generated.device)  # the real mean becomes the origin
    half = factor(real.covariance.to(x.device), protocol.width)
    mean, scatter = x.mean(0), (len(x) - protocol.ddof) ** 0.5
    centred = (x - mean) / scatter
    ours = centred.T if len(x) < protocol.width else factor(centred.T @ centred, protocol.width)
    value = float(from_factors(mean, ours, torch.zeros_like(mean), half))
    replicates = _bootstrap(x, half, protocol)
    return Estimate(
        name="FID-0",
        protocol=protocol.id,
        value=value,
        ci95=centred_interval(value, replicates, low=0.0),
        n=len(generated),
        higher_is_better=False,
        replicates=replicates,
    )


def _bootstrap(x: Tensor, half: Tensor, protocol: FIDProtocol) -> NDArray[np.float64]:
    """Distances (r,) of resampled ``x`` (n, d) to a Gaussian at the origin with covariance ``half`` ``half``ᵀ.

    tr √(Σ1 Σ2) is the sum of the singular values of the weighted, centred samples times ``half``, by the smaller of
    their two tables of inner products.
    """
    n, free = len(x), len(x) - protocol.ddof
    counts = torch.from_numpy(resampling_counts(n, protocol.replicates, protocol.interval_seed, "generated")).to(
        x.device
    )
    lengths, projected, trace = x.square().sum(1), x @ half, half.square().sum()
    distances = []
    for weights in counts:
        offset = (weights @ x / n).square().sum()
        own_trace = (weights @ lengths - n * offset) / free
        drawn = weights > 0
        centred = (projected - weights @ projected / n)[drawn] * weights[drawn].sqrt()[:, None]
        square = centred @ centred.T if len(centred) <= centred.shape[1] else centred.T @ centred
        cross = torch.linalg.eigvalsh(square).clamp_min(0).sqrt().sum() / free**0.5
        distances.append(offset + own_trace + trace - 2 * cross)
    return torch.stack(distances).clamp_min(0).cpu().numpy()
