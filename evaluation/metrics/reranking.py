"""Best of K: of several pictures for each caption the one that matches it best, as DALL-E, CogView and NÜWA show them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evaluation.captions import check_captions
from evaluation.metrics.captioned import caption_similarity
from evaluation.metrics.judged import ClipJudge


def caption_scores(
    judge: ClipJudge,
    candidates: Tensor,
    captions: Sequence[str],
    *,
    device: torch.device | str = "cpu",
    batch: int = 256,
) -> Tensor:
    """Cosines (m, K) float64 of the pictures (m, K, 3, h, w) uint8 with the m captions, on the CPU."""
    if candidates.dim() != 5 or candidates.dtype != torch.uint8:
        got = f"{tuple(candidates.shape)} {candidates.dtype}"
        raise ValueError(
            f"candidates: expected (captions, K, 3, h, w) uint8, got {got}; stack the K pictures of a caption"
        )
    check_captions(captions, len(candidates))
    texts = judge.encode_texts(list(captions)).cpu()
    columns = []
    for pictures in candidates.unbind(1):
        parts = zip(pictures.split(batch), texts.split(batch), strict=True)
        columns.append(
            torch.cat([caption_similarity(judge.encode_images(part.to(device)).cpu(), said) for part, said in parts])
        )
    return torch.stack(columns, dim=1)


def best_of(candidates: Tensor, scores: Tensor) -> Tensor:
    """Of each row of ``candidates`` (m, K, ...) the one with the highest score of (m, K); the first among equals."""
    if candidates.shape[:2] != scores.shape:
        raise ValueError(f"scores: expected {tuple(candidates.shape[:2])}, one a candidate, got {tuple(scores.shape)}")
    return candidates[
        torch.arange(len(candidates), device=candidates.device), scores.argmax(dim=1).to(candidates.device)
    ]
