"""RM: how well generated pictures match captions, relative to the real ones (GODIVA, Wu et al. 2021).

The ratio of two CLIPSIMs takes out what the model thinks of a set of captions as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, gather
from evaluation.metrics.captioned import CaptionMetric
from evaluation.metrics.clipsim import scores
from evaluation.metrics.uncertainty import bootstrap_means, centred_interval
from evaluation.protocols import CLIPSIMProtocol, sprites


def relative_matching(generated: Tensor, real: Tensor, protocol: CLIPSIMProtocol) -> Estimate:
    """Mean cosine (n,) of generated pictures over that (m,) of real ones.

    With as many of either, sample i of both belongs to caption i, and captions are drawn again together. ValueError for
    fewer than two samples, and for real pictures that do not match their captions.
    """
    value = _ratio(generated, real, protocol)
    above, below = (
        bootstrap_means(scores(side, protocol).cpu().numpy(), protocol.replicates, protocol.interval_seed)
        for side in (generated, real)
    )
    replicates = above / np.maximum(below, np.finfo(np.float64).tiny)
    return Estimate(
        name="RM",
        protocol=protocol.id,
        value=value,
        ci95=centred_interval(value, replicates),
        n=len(generated),
        higher_is_better=True,
        replicates=replicates,
    )


@METRICS.register("rm")
class RelativeMatching(CaptionMetric):
    """RM of generated and real pictures or clips with their captions; keeps one cosine a sample."""

    metric = "rm"
    default = sprites.RELATIVE_MATCHING
    higher_is_better = True
    real_similarities: list[Tensor]
    generated_similarities: list[Tensor]

    def __init__(self, protocol: CLIPSIMProtocol | str | None = None, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        for side in ("real", "generated"):
            self.add_rows(f"{side}_similarities", dtype=torch.float64)

    def update(self, images: Tensor, texts: Sequence[str] | Tensor, real: bool) -> None:
        """Add real or generated pictures (b, 3, h, w), clips (b, t, 3, h, w) or embeddings, with b captions or theirs."""
        getattr(self, f"{'real' if real else 'generated'}_similarities").append(self._cosines(images, texts))

    def compute(self) -> Tensor:
        """The ratio, () float64. LongCaptionWarning where captions lost words."""
        return torch.tensor(_ratio(*self._sides(), self.protocol), dtype=torch.float64)

    def _estimates(self) -> list[Estimate]:
        return [relative_matching(*self._sides(), self.protocol)]

    def _sides(self) -> tuple[Tensor, Tensor]:
        generated, real = gather(self.generated_similarities), gather(self.real_similarities)
        self._warn_if_long(len(generated) + len(real))
        return generated, real


def _ratio(generated: Tensor, real: Tensor, protocol: CLIPSIMProtocol) -> float:
    check_set(len(generated), "generated pictures")
    check_set(len(real), "real pictures")
    above, below = (float(scores(side, protocol).mean()) for side in (generated, real))
    if below <= 0:
        raise ValueError(
            f"{protocol.id}: expected real pictures that match their captions, got a mean cosine of {below:.3g}; look "
            "whether pictures and captions are in one order"
        )
    return above / below
