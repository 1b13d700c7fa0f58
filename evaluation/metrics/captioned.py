"""Metrics of pictures beside their captions: cosines of CLIP's embeddings, fed with either or with what they became."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from evaluation.captions import LongCaptionWarning, check_captions, tokenize
from evaluation.images import as_bytes
from evaluation.metrics.pictures import PictureMetric
from evaluation.protocols import CLIPSIMProtocol
from nuwa.tokenizers.text import TEXT_GRID


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


class CaptionMetric(PictureMetric[CLIPSIMProtocol]):
    """A metric that takes pictures with their captions, and counts captions that were too long to be read whole.

    Pictures (b, 3, h, w), clips (b, t, 3, h, w) or image embeddings (b, e) or (b, t, e), and a list of b captions or their
    embeddings (b, e). Each caption is embedded once. A ``judge`` has ``encode_images`` and ``encode_texts``
    (:class:`evaluation.metrics.judged.ClipJudge`).
    """

    kind = CLIPSIMProtocol
    truncated: Tensor

    def __init__(self, protocol: CLIPSIMProtocol | str | None = None, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self.add_state("truncated", torch.tensor(0), dist_reduce_fx="sum")
        self._texts: dict[str, Tensor] = {}  # the captions of a test set repeat

    def _cosines(self, images: Tensor, texts: Sequence[str] | Tensor) -> Tensor:
        """Cosines (b,) float64 of b samples with their captions."""
        shown = self._embed_images(images)
        said = texts if isinstance(texts, Tensor) else self._embed_texts(texts, len(shown))
        return caption_similarity(shown.detach(), said.detach().to(shown.device)).to(self.device)

    def _embed_images(self, images: Tensor) -> Tensor:
        if isinstance(images, Tensor) and images.is_floating_point() and images.dim() < 4:
            return images
        clips = isinstance(images, Tensor) and images.dim() == 5
        pictures = as_bytes(images.flatten(0, 1) if clips else images, self.protocol.quantise).to(self.device)
        with torch.no_grad():
            embedded: Tensor = self._judge.on(self.device).encode_images(pictures)
        return embedded.unflatten(0, images.shape[:2]) if clips else embedded

    def _embed_texts(self, captions: Sequence[str], number: int) -> Tensor:
        check_captions(captions, number)
        full = [self.protocol.prefix + caption for caption in captions]
        long = tokenize(full).truncated
        for row in long if self.protocol.long_captions == "refuse" else ():
            raise ValueError(
                f"{self.protocol.id}: expected captions of at most {TEXT_GRID.size} tokens, got {full[row]!r}; shorten it, "
                'or use a protocol with long_captions="truncate"'
            )
        if new := sorted(set(full) - self._texts.keys()):
            with torch.no_grad():
                embedded = self._judge.on(self.device).encode_texts(new).cpu()
            self._texts |= dict(zip(new, embedded, strict=True))
        self.truncated += len(long)
        return torch.stack([self._texts[caption] for caption in full])

    def _warn_if_long(self, number: int) -> None:
        if self.truncated:
            warnings.warn(
                f"{self.protocol.id}: {int(self.truncated)} of {number} captions are longer than {TEXT_GRID.size} tokens and "
                "were read to the last that fits",
                LongCaptionWarning,
                stacklevel=3,
            )
