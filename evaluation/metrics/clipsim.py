"""CLIPSIM: cosine between a caption and its picture or the frames of its clip (GODIVA, Wu et al. 2021; NÜWA, §4).

CLIPScore (Hessel et al. 2021) is the same with another scale, a prefix, and no cosines below 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, gather
from evaluation.metrics.captioned import CaptionMetric, caption_similarity
from evaluation.metrics.uncertainty import bootstrap_means, centred_interval
from evaluation.protocols import CLIPSIMProtocol, hessel, sprites

__all__ = ["CLIPSIM", "CLIPScore", "caption_similarity", "clipsim", "scores"]

_NAMES = {"clipsim": "CLIPSIM", "clipscore": "CLIPScore"}


def scores(similarities: Tensor, protocol: CLIPSIMProtocol) -> Tensor:
    """What each of the cosines (n,) counts, float64: times the protocol's scale, those below 0 as the protocol says."""
    values = similarities.double() * protocol.scale
    return values.clamp_min(0) if protocol.negative == "zero" else values


def clipsim(similarities: Tensor, protocol: CLIPSIMProtocol) -> Estimate:
    """Mean score of the cosines (n,). ValueError for fewer than two."""
    check_set(len(similarities))
    values = scores(similarities, protocol).cpu().numpy()
    value = float(values.mean())
    replicates = bootstrap_means(values, protocol.replicates, protocol.interval_seed)
    limit = abs(protocol.scale)
    low = 0.0 if protocol.negative == "zero" else -limit
    return Estimate(
        name=_NAMES[protocol.metric],
        protocol=protocol.id,
        value=value,
        ci95=centred_interval(value, replicates, low=low, high=limit),
        n=len(values),
        higher_is_better=True,
        replicates=replicates,
    )


@METRICS.register("clipsim")
class CLIPSIM(CaptionMetric):
    """CLIPSIM of pictures or clips with their captions; keeps one cosine a sample."""

    metric = "clipsim"
    default = sprites.CLIPSIM
    higher_is_better = True
    similarities: list[Tensor]

    def __init__(self, protocol: CLIPSIMProtocol | str | None = None, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self.add_rows("similarities", dtype=torch.float64)

    def update(self, images: Tensor, texts: Sequence[str] | Tensor) -> None:
        """Add pictures (b, 3, h, w), clips (b, t, 3, h, w) or their embeddings, with b captions or theirs (b, e)."""
        self.similarities.append(self._cosines(images, texts))

    def compute(self) -> Tensor:
        """Mean score, () float64. LongCaptionWarning where captions lost words."""
        similarities = gather(self.similarities)
        check_set(len(similarities))
        self._warn_if_long(len(similarities))
        return scores(similarities, self.protocol).mean()

    def _estimates(self) -> list[Estimate]:
        similarities = gather(self.similarities)
        self._warn_if_long(len(similarities))
        return [clipsim(similarities, self.protocol)]


@METRICS.register("clipscore")
class CLIPScore(CLIPSIM):
    """CLIPScore of pictures with their captions."""

    metric = "clipscore"
    default = hessel.CLIPSCORE
