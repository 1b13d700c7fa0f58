"""The ``@sprites-1`` family: scores by the small judges of the sprites world.

They order models of sprites and are never set beside a number made with Inception or OpenAI's CLIP. Judges with other
weights need another family: a number of one is no number of the other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evaluation.protocols.base import register
from evaluation.protocols.kinds import CaptionAccuracyProtocol, CLIPSIMProtocol, FIDProtocol, InceptionScoreProtocol
from evaluation.protocols.set_kinds import FDInfinityProtocol, KIDProtocol, PRDCProtocol

_FAMILY = "sprites-1"
_IMAGE_JUDGE = "43f0eb8e8382043dd3052b431ce4db59a406434aac0005df91f3b146fdca1e92"
_CLIP_JUDGE = "53626b522e842491f5a483fee46a59174cee124e7cfc85f93b88306f4f340e72"
_SOURCE = "this project; pictures of the sprites world, judged by networks trained on it"

FID = register(
    FIDProtocol(
        family=_FAMILY,
        network="sprites image judge 1",
        layer="features",
        weights_sha256=_IMAGE_JUDGE,
        width=128,
        size_px=None,
        resize="none",
        normalise="none",
        radii=(0, 1, 2, 4, 8),
        blur_kernel="gaussian",
        blur_picture_px=64,  # radii grow with the token, 4 px of 32 here and 8 of 256 there, so that each of them changes bytes
        replicates=200,
        interval_seed=2020,
        source=f"{_SOURCE}; FID-k of Ramesh et al. 2021 and of NÜWA, table 1, whose radii are scaled to small pictures",
    )
)

INCEPTION_SCORE = register(
    InceptionScoreProtocol(
        family=_FAMILY,
        network="sprites image judge 1",
        layer="class logits",
        weights_sha256=_IMAGE_JUDGE,
        classes=48,
        replicates=1000,
        interval_seed=2020,
        source=f"{_SOURCE}; splits, order and seed as in torch-fidelity",
    )
)

CLIPSIM = register(
    CLIPSIMProtocol(
        family=_FAMILY,
        network="sprites CLIP judge 1",
        layer="embeddings",
        weights_sha256=_CLIP_JUDGE,
        replicates=1000,
        interval_seed=2020,
        source=f"{_SOURCE}; CLIPSIM of GODIVA (Wu et al. 2021), raw cosine as in NÜWA, table 2",
    )
)

CAPTION_ACCURACY = register(
    CaptionAccuracyProtocol(
        family=_FAMILY,
        network="sprites image judge 1",
        layer="logits of the nine places and the background",
        weights_sha256=_IMAGE_JUDGE,
        replicates=1000,
        interval_seed=2020,
        source=_SOURCE,
    )
)

_FEATURES: dict[str, Any] = {
    "family": _FAMILY,
    "network": "sprites image judge 1",
    "layer": "features",
    "weights_sha256": _IMAGE_JUDGE,
    "width": 128,
    "size_px": None,
    "resize": "none",
    "normalise": "none",
    "interval_seed": 2020,
}

KID = register(
    KIDProtocol(
        **_FEATURES, fewer="shrink", replicates=200, source=f"{_SOURCE}; subsets and kernel as in torch-fidelity"
    )
)

PRDC = register(PRDCProtocol(**_FEATURES, replicates=1000, source=f"{_SOURCE}; k = 3 as in torch-fidelity"))

FD_INFINITY = register(
    FDInfinityProtocol(**_FEATURES, fewer="shrink", replicates=100, source=f"{_SOURCE}; Chong and Forsyth 2020")
)

RELATIVE_MATCHING = register(
    replace(
        CLIPSIM,
        metric="rm",
        source=f"{_SOURCE}; RM of GODIVA (Wu et al. 2021): CLIPSIM of the generated over that of the real pictures",
    )
)
