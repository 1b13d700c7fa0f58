"""FID and FID-k: Fréchet distance of the features of real and generated pictures (Heusel et al. 2017)."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric, check_rows, gather
from evaluation.metrics.frechet import distance_of_features, frechet_distance
from evaluation.metrics.frechet_bootstrap import bootstrap_frechet
from evaluation.metrics.moments import Moments, merge_packed
from evaluation.metrics.uncertainty import SmallSampleWarning, centred_interval
from evaluation.protocols import FIDProtocol, sprites


def fid(generated: Tensor, real: Tensor, protocol: FIDProtocol, radius: int = 0) -> Estimate:
    """FID of features (n, d) and (m, d) of pictures blurred with ``radius``; the estimate's n counts generated ones.

    ValueError for fewer than two pictures on a side; SmallSampleWarning for fewer than features.
    """
    if radius not in protocol.radii:
        raise ValueError(f"{protocol.id}: expected a radius of {protocol.radii}, got {radius}")
    if protocol.drop_last_of is not None:
        generated, real = (side[: len(side) - len(side) % protocol.drop_last_of] for side in (generated, real))
    for side, what in ((generated, "generated pictures"), (real, "real pictures")):
        check_set(len(side), what)
        check_rows(side, protocol.width, "features")
        warn_if_small(len(side), protocol, what)
    value = float(distance_of_features(generated, real, protocol.ddof))
    replicates = bootstrap_frechet(
        generated,
        real,
        replicates=protocol.replicates,
        seed=protocol.interval_seed,
        ddof=protocol.ddof,
        resampled=protocol.resampled,
    )
    return Estimate(
        name=f"FID-{radius}",
        protocol=protocol.id,
        value=value,
        ci95=centred_interval(value, replicates, low=0.0),
        n=len(generated),
        higher_is_better=False,
        replicates=replicates,
    )


@METRICS.register("fid")
class FID(ProtocolMetric[FIDProtocol]):
    """Streaming FID over features (b, d), float64 moments of d² numbers a side whatever the number of pictures.

    The interval needs the features themselves; without ``keep_features`` only ``compute`` works.
    """

    higher_is_better = False
    real_moments: Tensor
    generated_moments: Tensor
    real_features: list[Tensor]
    generated_features: list[Tensor]

    def __init__(
        self, protocol: FIDProtocol = sprites.FID, radius: int = 0, keep_features: bool = True, **settings: Any
    ) -> None:
        super().__init__(protocol, **settings)
        if protocol.drop_last_of is not None and not keep_features:
            raise ValueError(f"{protocol.id} leaves out its last batch, which needs keep_features=True")
        self.radius = radius
        self.keep_features = keep_features
        nothing = torch.zeros(protocol.width + 2, protocol.width, dtype=torch.float64)
        for side in ("real", "generated"):
            self.add_state(f"{side}_moments", nothing.clone(), dist_reduce_fx=merge_packed)
            self.add_state(f"{side}_features", [], dist_reduce_fx="cat")

    def update(self, features: Tensor, real: bool) -> None:
        """Add the features (b, d) of real or generated pictures."""
        check_rows(features, self.protocol.width, "features")
        side = "real" if real else "generated"
        packed = Moments.of(features).pack().to(self.device)
        setattr(self, f"{side}_moments", merge_packed(torch.stack([getattr(self, f"{side}_moments"), packed])))
        if self.keep_features:
            getattr(self, f"{side}_features").append(features.detach())

    def compute(self) -> Tensor:
        """FID, () float64."""
        if self.protocol.drop_last_of is not None:
            return torch.tensor(self._estimates()[0].value, dtype=torch.float64)
        sides = []
        for what, packed in (("generated pictures", self.generated_moments), ("real pictures", self.real_moments)):
            moments = Moments.unpack(packed)
            check_set(int(moments.number), what)
            warn_if_small(int(moments.number), self.protocol, what)
            sides.append(moments)
        generated, real = sides
        ddof = self.protocol.ddof
        return frechet_distance(generated.mean, generated.covariance(ddof), real.mean, real.covariance(ddof))

    def _estimates(self) -> list[Estimate]:
        if not self.keep_features:
            raise ValueError("FID: the interval needs the features; make the metric with keep_features=True")
        return [fid(gather(self.generated_features), gather(self.real_features), self.protocol, self.radius)]


def warn_if_small(number: int, protocol: FIDProtocol, what: str) -> None:
    """SmallSampleWarning where ``number`` is below the number of features."""
    if number < protocol.width:
        warnings.warn(
            f"{protocol.id}: {number} {what} for {protocol.width} features; the covariance has no full rank and the "
            "distance is biased upwards, compare it only with numbers of the same n",
            SmallSampleWarning,
            stacklevel=3,
        )
