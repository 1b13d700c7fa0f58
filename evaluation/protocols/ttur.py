"""``@ttur-1``: the original FID, and the scores beside it, as torch-fidelity computes them."""

from __future__ import annotations

from typing import Any

from evaluation.protocols.base import register
from evaluation.protocols.kinds import FIDProtocol, InceptionScoreProtocol
from evaluation.protocols.set_kinds import FDInfinityProtocol, KIDProtocol, PRDCProtocol

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"

PICTURES: dict[str, Any] = {
    "network": "inception-fid",
    "weights_sha256": INCEPTION_SHA256,
    "size_px": 299,
    "resize": "tf1-bilinear",
    "normalise": "minus-128-over-128",
}
POOLED: dict[str, Any] = {**PICTURES, "layer": "2048 after pooling", "width": 2048}
LOGITS: dict[str, Any] = {**PICTURES, "layer": "1008 logits without bias", "classes": 1008}

FID = register(
    FIDProtocol(
        **POOLED,
        family="ttur-1",
        radii=(0, 1, 2, 4, 8),
        blur_kernel="pil-box",
        resampled="generated",
        replicates=100,
        interval_seed=2020,
        source="Heusel et al. 2017 (bioinf-jku/TTUR) and torch-fidelity 0.4; FID-k with Pillow's GaussianBlur of both "
        "sides before the resize is our reading, as no implementation was published",
    )
)

INCEPTION_SCORE = register(
    InceptionScoreProtocol(
        **LOGITS,
        family="ttur-1",
        replicates=1000,
        interval_seed=2020,
        source="Salimans et al. 2016 as in torch-fidelity 0.4: shuffled with seed 2020, ten splits",
    )
)

KID = register(
    KIDProtocol(
        **POOLED,
        family="ttur-1",
        replicates=200,
        interval_seed=2020,
        source="Bińkowski et al. 2018 as in torch-fidelity 0.4: 100 subsets of 1,000 drawn with seed 2020",
    )
)

PRDC = register(
    PRDCProtocol(
        **POOLED,
        family="ttur-1",
        replicates=1000,
        interval_seed=2020,
        source="Kynkäänniemi et al. 2019 as in torch-fidelity 0.4, k = 3; density and coverage of Naeem et al. 2020 at the "
        "same k",
    )
)

FD_INFINITY = register(
    FDInfinityProtocol(
        **POOLED,
        family="ttur-1",
        replicates=100,
        interval_seed=2020,
        source="Chong and Forsyth 2020 (mchong6/FID_IS_infinity): 15 distances from 5,000 pictures on, here of TTUR's "
        "features and drawn with a seed",
    )
)
