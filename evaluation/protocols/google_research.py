"""``@google-research-1``: CMMD (Jayasumana et al. 2024)."""

from __future__ import annotations

from evaluation.protocols import openai_clip
from evaluation.protocols.base import register
from evaluation.protocols.set_kinds import CMMDProtocol

CMMD = register(
    CMMDProtocol(
        **{**openai_clip.pictures("clip-vit-l-14-336"), "resize": "square-bicubic-uint8"},
        family="google-research-1",
        width=768,
        replicates=200,
        interval_seed=2020,
        source="google-research/cmmd and sayakpaul/cmmd-pytorch: ViT-L/14 at 336 px, the central square resized by Pillow's "
        "bicubic, embeddings of length 1, sigma 10, times 1,000, the biased estimate; here in float64",
    )
)
