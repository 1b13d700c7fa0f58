"""FID-img: the FID of the frames of clips, averaged over positions or of all frames pooled (NÜWA's Table 2)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluation.clips import as_clip_bytes
from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric, check_rows, gather
from evaluation.metrics.frechet import distance_of_features
from evaluation.metrics.frechet_bootstrap import bootstrap_frechet
from evaluation.metrics.judged import ImageJudge, check_weights
from evaluation.metrics.uncertainty import SmallSampleWarning, centred_interval
from evaluation.protocols import FrameFIDProtocol, find_protocol, frames


def fid_img(generated: Tensor, real: Tensor, protocol: FrameFIDProtocol) -> Estimate:
    """FID of the features of frames, (n, t, d) and (m, t, d); the estimate's n counts generated clips.

    The bootstrap draws whole clips, whose frames are alike. ValueError for fewer than two clips on a side or unequal
    lengths, SmallSampleWarning for fewer frames than features in a covariance.
    """
    value = float(_mean_distance(generated, real, protocol))
    replicates = np.mean(
        [
            bootstrap_frechet(
                *sides,
                replicates=protocol.replicates,
                seed=protocol.interval_seed,
                ddof=protocol.ddof,
                resampled=protocol.resampled,
                rows_per_sample=len(sides[0]) // len(generated),
            )
            for sides in _sets(generated, real, protocol)
        ],
        axis=0,
    )
    return Estimate(
        name="FID-img",
        protocol=protocol.id,
        value=value,
        ci95=centred_interval(value, replicates, low=0.0),
        n=len(generated),
        higher_is_better=False,
        replicates=replicates,
    )


@METRICS.register("fid-img")
class FIDImg(ProtocolMetric[FrameFIDProtocol]):
    """FID-img over clips or the features of their frames; keeps the features, t·d numbers a clip.

    Give it a ``judge`` for pictures (:func:`evaluation.features.load_inception_judge`) and feed it clips, or none and feed
    it features.
    """

    higher_is_better = False
    real_features: list[Tensor]
    generated_features: list[Tensor]

    def __init__(
        self, protocol: FrameFIDProtocol | str = frames.SPRITES, judge: ImageJudge | None = None, **settings: Any
    ) -> None:
        super().__init__(find_protocol("fid-img", protocol, FrameFIDProtocol), **settings)
        check_weights(judge, self.protocol)
        self.__dict__["_judge"] = judge  # no part of the metric: neither saved nor moved with its states
        for side in ("real", "generated"):
            self.add_state(f"{side}_features", [], dist_reduce_fx="cat")

    def update(self, samples: Tensor, real: bool) -> None:
        """Add real or generated clips (b, t, 3, h, w), uint8 or floats in [0, 1]; without a judge, features (b, t, d)."""
        features = self._features(samples).detach().to(self.device)
        check_rows(features.flatten(0, 1), self.protocol.width, "features of frames")
        kept = getattr(self, f"{'real' if real else 'generated'}_features")
        if kept and kept[0].shape[1] != features.shape[1]:
            raise ValueError(
                f"{self.protocol.id}: expected clips of {kept[0].shape[1]} frames as before, got {features.shape[1]}"
            )
        kept.append(features)

    def compute(self) -> Tensor:
        """The distance, () float64."""
        return _mean_distance(gather(self.generated_features), gather(self.real_features), self.protocol)

    def _estimates(self) -> list[Estimate]:
        return [fid_img(gather(self.generated_features), gather(self.real_features), self.protocol)]

    def _features(self, samples: Tensor) -> Tensor:
        judge: ImageJudge | None = self.__dict__["_judge"]
        if judge is not None:
            clips = as_clip_bytes(samples, self.protocol.quantise)
            return judge(clips.flatten(0, 1)).features.unflatten(0, clips.shape[:2])
        if samples.dim() != 3:
            raise ValueError(
                f"{self.protocol.id}: expected features (b, t, {self.protocol.width}), got {tuple(samples.shape)}; to "
                "feed clips, pass judge="
            )
        return samples


def _sets(generated: Tensor, real: Tensor, protocol: FrameFIDProtocol) -> list[tuple[Tensor, Tensor]]:
    """Pairs of feature sets (rows, d), each of which has a distance."""
    for side, what in ((generated, "generated clips"), (real, "real clips")):
        check_set(len(side), what)
    if generated.shape[1] != real.shape[1]:
        lengths = f"{generated.shape[1]} generated and {real.shape[1]} real ones"
        raise ValueError(f"{protocol.id}: expected clips of equal length, got {lengths}; cut the longer ones")
    if protocol.over == "pooled":
        return [(generated.flatten(0, 1), real.flatten(0, 1))]
    return list(zip(generated.unbind(1), real.unbind(1), strict=True))


def _mean_distance(generated: Tensor, real: Tensor, protocol: FrameFIDProtocol) -> Tensor:
    pairs = _sets(generated, real, protocol)
    fewest = min(len(side) for side in pairs[0])
    if fewest < protocol.width:
        warnings.warn(
            f"{protocol.id}: {fewest} frames in a set for {protocol.width} features; the covariance has no full rank and "
            "the distance is biased upwards, compare it only with numbers of the same n",
            SmallSampleWarning,
            stacklevel=4,
        )
    return torch.stack([distance_of_features(*pair, protocol.ddof) for pair in pairs]).mean()
