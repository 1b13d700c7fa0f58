"""Streaming mean and covariance in float64, mergeable in any order.

The state holds deviations from the running mean (Chan, Golub and LeVeque 1979) and not sums of squares, so features far
from zero lose no digits.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Number () and mean (d,) of a set of features, and their scatter (d, d), Σ (x − mean)(x − mean)ᵀ; all float64."""

    number: Tensor
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Moments of features (b, d). ValueError for another shape, NaN or infinity."""
        if features.dim() != 2 or features.numel() == 0:
            raise ValueError(f"features: expected (b, d) with b, d >= 1, got {tuple(features.shape)}")
        if not bool(torch.isfinite(features).all()):
            raise ValueError("features: expected finite numbers, got NaN or infinity; look at the pictures handed in")
        features = features.double()
        mean = features.mean(0)
        centred = features - mean
        number = torch.tensor(float(len(features)), dtype=torch.float64, device=features.device)
        return cls(number, mean, centred.T @ centred)

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets together."""
        number = self.number + other.number
        share = other.number / number.clamp_min(1)
        shift = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(shift, shift) * self.number * share
        return Moments(number, self.mean + shift * share, scatter)

    def covariance(self, ddof: int = 1) -> Tensor:
        """Covariance (d, d) with ``number - ddof`` in the denominator. ValueError for fewer than two samples."""
        if float(self.number) < 2:
            raise ValueError(
                f"covariance: expected at least 2 samples, got {int(self.number)}; update the metric first"
            )
        return self.scatter / (self.number - ddof)

    def pack(self) -> Tensor:
        """One tensor (d + 2, d): number, mean and scatter, the state that travels between processes."""
        return torch.cat([self.number.expand(1, len(self.mean)), self.mean[None], self.scatter])

    @classmethod
    def unpack(cls, packed: Tensor) -> Moments:
        """Inverse of :meth:`pack`."""
        return cls(packed[0, 0], packed[1], packed[2:])


def merge_packed(stacked: Tensor) -> Tensor:
    """Merge packed states (m, d + 2, d) to one (d + 2, d), in order; a ``dist_reduce_fx``."""
    merged = Moments.unpack(stacked[0])
    for packed in stacked[1:]:
        merged = merged.merge(Moments.unpack(packed))
    return merged.pack()
