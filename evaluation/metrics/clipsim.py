"""CLIPSIM: cosine between a caption and its picture or the frames of its clip (GODIVA, Wu et al. 2021; NÜWA, §4)."""

from __future__ import annotations

import torch
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric, gather
from evaluation.metrics.uncertainty import bootstrap_means, centred_interval
from evaluation.protocols import CLIPSIMProtocol, sprites


def caption_similarity(images: Tensor, texts: Tensor) -> Tensor:
    """Cosines (b,) float64 in −1…1 of image embeddings (b, e), or (b, t, e) averaged over frames, and texts (b, e)."""
    if images.dim() not in (2, 3) or texts.dim() != 2 or (len(images), images.shape[-1]) != tuple(texts.shape):
        raise ValueError(
            f"embeddings: expected images (b, e) or (b, t, e) and texts (b, e), got {tuple(images.shape)} and "
            f"{tuple(texts.shape)}; give one caption to each picture"
        )
    if images.dim() == 2:
        images = images[:, None]
    images, texts = images.double(), texts.double()
    for what, values in (("image", images), ("text", texts)):
        if not bool(torch.isfinite(values).all()) or not bool((values.norm(dim=-1) > 0).all()):
            raise ValueError(f"embeddings: expected finite {what} vectors with a direction, got NaN, infinity or zeros")
    return torch.cosine_similarity(images, texts[:, None], dim=-1).mean(1)


def clipsim(similarities: Tensor, protocol: CLIPSIMProtocol) -> Estimate:
    """Mean of the cosines (n,), times the protocol's scale. ValueError for fewer than two."""
    check_set(len(similarities))
    values = similarities.double().cpu().numpy() * protocol.scale
    value = float(values.mean())
    replicates = bootstrap_means(values, protocol.replicates, protocol.interval_seed)
    limit = abs(protocol.scale)
    return Estimate(
        name="CLIPSIM",
        protocol=protocol.id,
        value=value,
        ci95=centred_interval(value, replicates, low=-limit, high=limit),
        n=len(values),
        higher_is_better=True,
        replicates=replicates,
    )


@METRICS.register("clipsim")
class CLIPSIM(ProtocolMetric[CLIPSIMProtocol]):
    """CLIPSIM over image and text embeddings; keeps one cosine a sample."""

    higher_is_better = True
    similarities: list[Tensor]

    def __init__(self, protocol: CLIPSIMProtocol = sprites.CLIPSIM, **settings: object) -> None:
        super().__init__(protocol, **settings)
        self.add_state("similarities", [], dist_reduce_fx="cat")

    def update(self, images: Tensor, texts: Tensor) -> None:
        """Add embeddings of pictures (b, e) or clips (b, t, e), and of their captions (b, e)."""
        self.similarities.append(caption_similarity(images.detach(), texts.detach()))

    def compute(self) -> Tensor:
        """Mean cosine times the protocol's scale, () float64."""
        similarities = gather(self.similarities)
        check_set(len(similarities))
        return similarities.double().mean() * self.protocol.scale

    def _estimates(self) -> list[Estimate]:
        return [clipsim(gather(self.similarities), self.protocol)]
