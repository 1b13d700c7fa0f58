"""FVD and FID-vid: Fréchet distances of the features of real and generated clips (Unterthiner et al. 2018)."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, check_rows, gather
from evaluation.metrics.clip_metric import ClipMetric
from evaluation.metrics.frechet import frechet_distance
from evaluation.metrics.frechet_bootstrap import bootstrap_frechet
from evaluation.metrics.moments import Moments, merge_packed
from evaluation.metrics.uncertainty import SmallSampleWarning, centred_interval
from evaluation.protocols import ClipDistanceProtocol, google, kinetics

FEWEST_PUBLISHED = 256  # clips a side: BAIR's test set, and no published FVD is made of fewer
NAMES = {"fvd": "FVD", "fid-vid": "FID-vid"}


def clip_distance(generated: Tensor, real: Tensor, protocol: ClipDistanceProtocol) -> Estimate:
    """Distance of features (n, d) and (m, d) of clips; the estimate's n counts generated ones.

    ValueError for fewer than two clips on a side. SmallSampleWarning for fewer than the protocol is published with, than
    the smallest published set, or than features.
    """
    for side, what in zip((generated, real), _SIDES, strict=True):
        check_set(len(side), what)
        check_rows(side, protocol.width, "features")
    value = float(_distance(Moments.of(generated), Moments.of(real), protocol))
    return _estimate(value, generated, real, protocol)


def _estimate(value: float, generated: Tensor, real: Tensor, protocol: ClipDistanceProtocol) -> Estimate:
    replicates = bootstrap_frechet(
        generated,
        real,
        replicates=protocol.replicates,
        seed=protocol.interval_seed,
        ddof=protocol.ddof,
        resampled=protocol.resampled,
    )
    return Estimate(
        name=NAMES[protocol.metric],
        protocol=protocol.id,
        value=value,
        ci95=centred_interval(value, replicates, low=0.0),
        n=len(generated),
        higher_is_better=False,
        replicates=replicates,
    )


class ClipDistance(ClipMetric[ClipDistanceProtocol]):
    """A streaming distance between two sets of clips: float64 moments of d² numbers a side, whatever the number of clips.

    The interval needs the features themselves; without ``keep_features`` only ``compute`` works.
    """

    kind = ClipDistanceProtocol
    higher_is_better = False
    real_moments: Tensor
    generated_moments: Tensor
    real_features: list[Tensor]
    generated_features: list[Tensor]

    def __init__(
        self, protocol: ClipDistanceProtocol | str | None = None, *, keep_features: bool = True, **settings: Any
    ) -> None:
        super().__init__(protocol, **settings)
        self.keep_features = keep_features
        nothing = torch.zeros(self.protocol.width + 2, self.protocol.width, dtype=torch.float64)
        for side in ("real", "generated"):
            self.add_state(f"{side}_moments", nothing.clone(), dist_reduce_fx=merge_packed)
            self.add_rows(f"{side}_features", self.protocol.width)

    def update(self, samples: Tensor, real: bool) -> None:
        """Add real or generated clips (b, t, 3, h, w), or their features (b, d), of which float32 is kept."""
        features = self._read(samples, "features")
        check_rows(features, self.protocol.width, "features")
        side = "real" if real else "generated"
        packed = Moments.of(features).pack()
        setattr(self, f"{side}_moments", merge_packed(torch.stack([getattr(self, f"{side}_moments"), packed])))
        if self.keep_features:
            getattr(self, f"{side}_features").append(features.float())

    def compute(self) -> Tensor:
        """The distance, () float64."""
        return self._of_moments()

    def _estimates(self) -> list[Estimate]:
        if not self.keep_features:
            raise ValueError(f"{self.protocol.id}: the interval needs the features; use keep_features=True")
        value = float(self._of_moments())
        return [_estimate(value, gather(self.generated_features), gather(self.real_features), self.protocol)]

    def _of_moments(self) -> Tensor:
        return _distance(Moments.unpack(self.generated_moments), Moments.unpack(self.real_moments), self.protocol)


@METRICS.register("fvd")
class FVD(ClipDistance):
    """Fréchet Video Distance: logits of I3D (Unterthiner et al. 2018); the original's constants where none are named."""

    metric = "fvd"
    default = google.FVD


@METRICS.register("fid-vid")
class FIDVid(ClipDistance):
    """FID-vid: pooled features of a network trained on Kinetics-400, which the protocol names."""

    metric = "fid-vid"
    default = kinetics.FID_VID["r3d-18"]


_SIDES = ("generated clips", "real clips")


def _distance(generated: Moments, real: Moments, protocol: ClipDistanceProtocol) -> Tensor:
    for side, what in zip((generated, real), _SIDES, strict=True):
        check_set(int(side.number), what)
        _warn_if_small(int(side.number), protocol, what)
    ddof = protocol.ddof
    gaussians = generated.mean, generated.covariance(ddof), real.mean, real.covariance(ddof)
    return frechet_distance(*gaussians) if protocol.arithmetic == "float64" else float32_distance(*gaussians)


def float32_distance(mu1: Tensor, sigma1: Tensor, mu2: Tensor, sigma2: Tensor) -> Tensor:
    """What comes out where covariances (d, d) and their roots are float32, as in VideoGPT; () float64, cut at 0.

    Singular values that should be 0 come out as 1e-7 of the largest, and the root makes 3e-4 of each. Starting from exact
    moments keeps at least the order and the batches of the clips out of it.
    """
    mu1, mu2, sigma1, sigma2 = (value.float().cpu() for value in (mu1, mu2, sigma1, sigma2))
    half = _root(sigma1)
    cross = _root(half @ sigma2 @ half).trace()
    distance = (mu1 - mu2).square().sum() + (sigma1 + sigma2).trace() - 2 * cross
    return distance.double().clamp_min(0)


def _root(sigma: Tensor) -> Tensor:
    left, values, right = torch.linalg.svd(sigma)
    values = torch.where(values < 1e-10, values, values.sqrt())  # TFGAN's rule
    return left * values @ right


def _warn_if_small(number: int, protocol: ClipDistanceProtocol, what: str) -> None:
    short = []
    if protocol.clips is not None and number < protocol.clips:
        short.append(f"it is published with {protocol.clips:,}")
    if protocol.metric == "fvd" and number < FEWEST_PUBLISHED:
        short.append(f"no FVD is published with fewer than {FEWEST_PUBLISHED}")
    if number < protocol.width:
        short.append(f"the covariance of {protocol.width} features has no full rank")
    if short:
        warnings.warn(
            f"{protocol.id}: {number:,} {what}; {'; '.join(short)}; the distance is biased upwards, compare it only with "
            "numbers of the same n",
            SmallSampleWarning,
            stacklevel=4,
        )
