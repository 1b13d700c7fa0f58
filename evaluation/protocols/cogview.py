"""``@cogview-1``: the Inception Score of CogView's repository."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import dmgan_coco, ttur
from evaluation.protocols.base import register

INCEPTION_SCORE = register(
    replace(
        ttur.INCEPTION_SCORE,
        family="cogview-1",
        network=dmgan_coco.FID.network,
        layer="1000 logits",
        weights_sha256=dmgan_coco.FID.weights_sha256,
        size_px=None,
        resize="none",
        normalise="over-127.5-minus-1",
        classes=1000,
        splits=1,
        shuffle=False,
        source="THUDM/CogView eval_utils/inception_score.py with its defaults: torchvision's ImageNet weights with their "
        "bias, pictures in [-1, 1] at their own size (256 px there), one split",
    )
)
