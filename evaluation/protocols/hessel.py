"""``@hessel-1``: CLIPScore (Hessel et al. 2021)."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import openai_clip
from evaluation.protocols.base import register

CLIPSCORE = register(
    replace(
        openai_clip.CLIPSIM_B32,
        metric="clipscore",
        family="hessel-1",
        prefix="A photo depicts ",
        scale=2.5,
        negative="zero",
        source="jmhessel/clipscore: 2.5 · max(cos, 0) with ViT-B/32, averaged over pairs; it computes in half precision on "
        "a GPU, here in float32",
    )
)
