"""FID and FID-k: Fréchet distance of the features of real and generated pictures (Heusel et al. 2017).

CLIP-FID and FD-DINOv2 are the same distance of other networks' features.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, check_rows, gather
from evaluation.metrics.blur import blur
from evaluation.metrics.frechet import distance_of_features, frechet_distance
from evaluation.metrics.frechet_bootstrap import bootstrap_frechet
from evaluation.metrics.kept import keep
from evaluation.metrics.moments import Moments, merge_packed
from evaluation.metrics.pictures import PictureMetric
from evaluation.metrics.uncertainty import SmallSampleWarning, centred_interval
from evaluation.protocols import FIDProtocol, clean, dgm, sprites

KEPT = 5_000  # features a side for the interval: with the moments of 2,048 features 170 MB, however many pictures
_NAMES = {"clip-fid": "CLIP-FID", "fd-dinov2": "FD-DINOv2"}


def fid(generated: Tensor, real: Tensor, protocol: FIDProtocol, radius: int = 0) -> Estimate:
    """FID of features (n, d) and (m, d) of pictures blurred with ``radius``; the estimate's n counts generated ones.

    ValueError for fewer than two pictures on a side; SmallSampleWarning for fewer than features.
    """
    _check_radius(radius, protocol)
    if protocol.drop_last_of is not None:
        generated, real = (side[: len(side) - len(side) % protocol.drop_last_of] for side in (generated, real))
    for side, what in ((generated, "generated pictures"), (real, "real pictures")):
        check_set(len(side), what)
        check_rows(side, protocol.width, "features")
        warn_if_small(len(side), protocol, what)
    value = float(distance_of_features(generated, real, protocol.ddof))
    return _estimate(value, len(generated), (generated, real), 1.0, protocol, radius)


@METRICS.register("fid")
class FID(PictureMetric[FIDProtocol]):
    """Streaming FID: float64 moments of d² numbers a side, whatever the number of pictures.

    The interval needs features: all of up to ``keep_features`` a side, and of more a sample, whose spread is scaled to the
    number of pictures there are. ``True`` keeps all, ``False`` none, and then only ``compute`` works. ``radius`` is the k of
    FID-k, a blur of the pictures handed in; features handed in are those of blurred pictures.
    """

    metric = "fid"
    default = sprites.FID
    kind = FIDProtocol
    higher_is_better = False
    real_moments: Tensor
    generated_moments: Tensor
    real_features: list[Tensor]
    generated_features: list[Tensor]

    def __init__(
        self,
        protocol: FIDProtocol | str | None = None,
        radius: int = 0,
        keep_features: bool | int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(protocol, **settings)
        _check_radius(radius, self.protocol)
        needs_all = self.protocol.drop_last_of is not None
        if needs_all and keep_features not in (None, True):
            raise ValueError(f"{self.protocol.id} leaves out its last batch, which needs keep_features=True")
        self.radius = radius
        self.keep_features = (True if needs_all else KEPT) if keep_features is None else keep_features
        width = self.protocol.width
        nothing = torch.zeros(width + 2, width, dtype=torch.float64)
        for side in ("real", "generated"):
            self.add_state(f"{side}_moments", nothing.clone(), dist_reduce_fx=merge_packed)
            self.add_rows(f"{side}_features", width)

    def update(self, images: Tensor, real: bool) -> None:
        """Add real or generated pictures (b, 3, h, w), or their features (b, d); those kept are kept as float32."""
        blurred = self.radius > 0 and (real or self.protocol.blur_target == "both")
        features = self._read(images, "features", self.protocol.width, "features", self._blur if blurred else None)
        side = "real" if real else "generated"
        packed = Moments.of(features).pack()
        setattr(self, f"{side}_moments", merge_packed(torch.stack([getattr(self, f"{side}_moments"), packed])))
        if self.keep_features:
            kept = [*getattr(self, f"{side}_features"), features.float()]
            if self._most is not None and sum(map(len, kept)) > 5 * self._most // 4:  # not at every batch
                kept = [keep(torch.cat(kept), self._most)]
            setattr(self, f"{side}_features", kept)

    def compute(self) -> Tensor:
        """FID, () float64."""
        if self.protocol.drop_last_of is not None:
            return torch.tensor(self._estimates()[0].value, dtype=torch.float64)
        return self._of_moments()

    def _of_moments(self) -> Tensor:
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
            raise ValueError(
                "FID: the interval needs features; make the metric with keep_features=True or a number of them"
            )
        generated, real = gather(self.generated_features), gather(self.real_features)
        if self.protocol.drop_last_of is not None:
            return [fid(generated, real, self.protocol, self.radius)]
        value = float(self._of_moments())
        if self._most is not None:
            generated, real = keep(generated, self._most), keep(real, self._most)
        n, m = (int(Moments.unpack(packed).number) for packed in (self.generated_moments, self.real_moments))
        shrink = max((len(generated) / n) ** 0.5, (len(real) / m) ** 0.5)
        return [_estimate(value, n, (generated, real), shrink, self.protocol, self.radius)]

    @property
    def _most(self) -> int | None:
        return None if self.keep_features is True else int(self.keep_features)

    def _blur(self, images: Tensor) -> Tensor:
        return blur(images, self.protocol.sigma_px(self.radius, min(images.shape[2:])), self.protocol.blur_kernel)


@METRICS.register("clip-fid")
class CLIPFID(FID):
    """CLIP-FID (Kynkäänniemi et al. 2022): the distance of embeddings of OpenAI's CLIP."""

    metric = "clip-fid"
    default = clean.CLIP_FID


@METRICS.register("fd-dinov2")
class FDDINOv2(FID):
    """FD-DINOv2 (Stein et al. 2023): the distance of class tokens of DINOv2."""

    metric = "fd-dinov2"
    default = dgm.FD_DINOV2


def _estimate(
    value: float, n: int, sides: tuple[Tensor, Tensor], shrink: float, protocol: FIDProtocol, radius: int
) -> Estimate:
    """The estimate of ``value``; replicates are those of ``sides``, with ``shrink`` times their spread."""
    replicates = bootstrap_frechet(
        *sides,
        replicates=protocol.replicates,
        seed=protocol.interval_seed,
        ddof=protocol.ddof,
        resampled=protocol.resampled,
    )
    if shrink < 1:
        replicates = np.maximum(value + shrink * (replicates - replicates.mean()), 0.0)
    return Estimate(
        name=_NAMES.get(protocol.metric, f"FID-{radius}"),
        protocol=protocol.id,
        value=value,
        ci95=centred_interval(value, replicates, low=0.0),
        n=n,
        higher_is_better=False,
        replicates=replicates,
    )


def _check_radius(radius: int, protocol: FIDProtocol) -> None:
    if radius not in protocol.radii:
        raise ValueError(f"{protocol.id}: expected a radius of {protocol.radii}, got {radius}")


def warn_if_small(number: int, protocol: FIDProtocol, what: str) -> None:
    """SmallSampleWarning where ``number`` is below the number of features."""
    if number < protocol.width:
        warnings.warn(
            f"{protocol.id}: {number} {what} for {protocol.width} features; the covariance has no full rank and the "
            "distance is biased upwards, compare it only with numbers of the same n",
            SmallSampleWarning,
            stacklevel=3,
        )
