"""``@ttur-1``: the original FID, and the Inception Score beside it, as torch-fidelity computes them."""

from __future__ import annotations

from evaluation.protocols.base import register
from evaluation.protocols.kinds import FIDProtocol, InceptionScoreProtocol

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"

FID = register(
    FIDProtocol(
        family="ttur-1",
        network="inception-fid",
        layer="2048 after pooling",
        weights_sha256=INCEPTION_SHA256,
        width=2048,
        size_px=299,
        resize="tf1-bilinear",
        normalise="minus-128-over-128",
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
        family="ttur-1",
        network="inception-fid",
        layer="1008 logits without bias",
        weights_sha256=INCEPTION_SHA256,
        classes=1008,
        replicates=1000,
        interval_seed=2020,
        source="Salimans et al. 2016 as in torch-fidelity 0.4: shuffled with seed 2020, ten splits",
    )
)
