"""FID-img: the FID of the frames of clips, averaged over positions or of all frames pooled (NÜWA's Table 2)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluation import judges
from evaluation.clips import as_clip_bytes
from evaluation.images import check_set
from evaluation.judges import image as sprites_image
from evaluation.metrics.base import METRICS, Estimate, check_rows, gather
from evaluation.metrics.frechet import distance_of_features
from evaluation.metrics.frechet_bootstrap import bootstrap_frechet
from evaluation.metrics.judged import ImageJudge
from evaluation.metrics.network import Network, OneLength, in_parts
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
class FIDImg(OneLength[FrameFIDProtocol]):
    """FID-img over clips, or the features of their frames; keeps the features, t·d numbers a clip.

    For clips it asks the network of the protocol (its file has to lie in the folder ``weights``; the judge of sprites is
    shipped) or the ``judge`` given in its place, a network for pictures.
    """

    higher_is_better = False
    real_features: list[Tensor]
    generated_features: list[Tensor]

    def __init__(
        self,
        protocol: FrameFIDProtocol | str = frames.SPRITES,
        *,
        weights: str | Path | None = None,
        judge: ImageJudge | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(find_protocol("fid-img", protocol, FrameFIDProtocol), **settings)
        shipped = self.protocol.network == sprites_image.NAME
        self._network = Network(self.protocol, judge, "shipped" if shipped else weights, _load)
        for side in ("real", "generated"):
            self.add_rows(f"{side}_features", self.protocol.width)

    def update(self, samples: Tensor, real: bool) -> None:
        """Add real or generated clips (b, t, 3, h, w), or the features (b, t, d) of their frames, kept as float32."""
        features = self._features(samples).detach().to(self.device)
        rows = features.flatten(0, 1)
        check_rows(rows, self.protocol.width, "features of frames")
        self._has_length(features.shape[1])
        getattr(self, f"{'real' if real else 'generated'}_features").append(rows.float())

    def compute(self) -> Tensor:
        """The distance, () float64."""
        return _mean_distance(*self._sides(), self.protocol)

    def _estimates(self) -> list[Estimate]:
        return [fid_img(*self._sides(), self.protocol)]

    def _sides(self) -> tuple[Tensor, Tensor]:
        return self._by_sample(gather(self.generated_features)), self._by_sample(gather(self.real_features))

    def _features(self, samples: Tensor) -> Tensor:
        if isinstance(samples, Tensor) and samples.dim() == 3:
            return samples
        clips = as_clip_bytes(samples, self.protocol.quantise).to(self.device)
        judge: ImageJudge = self._network.on(self.device)
        with torch.no_grad():
            features = in_parts(lambda part: judge(part).features, clips.flatten(0, 1), at_once=64)
        return features.unflatten(0, clips.shape[:2])


def _load(protocol: FrameFIDProtocol, folder: str | Path, device: torch.device) -> Any:
    if protocol.network == sprites_image.NAME:
        return judges.load_image_judge(device)
    from evaluation.features import load_inception_judge  # slow to import, and only needed for clips

    return load_inception_judge(protocol, folder, device)


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
