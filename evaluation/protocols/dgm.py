"""``@dgm-1``: the scores of Stein et al. 2023 (layer6ai-labs/dgm-eval) on DINOv2, which follow people's judgement."""

from __future__ import annotations

from typing import Any

from evaluation.protocols.base import register
from evaluation.protocols.kinds import FIDProtocol
from evaluation.protocols.set_kinds import FDInfinityProtocol, PRDCProtocol

DINOV2_SHA256 = "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"

CLASS_TOKEN: dict[str, Any] = {
    "family": "dgm-1",
    "network": "dinov2-vitl14",
    "layer": "class token after the last norm",
    "weights_sha256": DINOV2_SHA256,
    "width": 1024,
    "size_px": 224,
    "resize": "pil-bicubic-uint8",
    "normalise": "imagenet",
}

FD_DINOV2 = register(
    FIDProtocol(
        **CLASS_TOKEN,
        metric="fd-dinov2",
        resampled="generated",
        replicates=100,
        interval_seed=2020,
        source="Stein et al. 2023, dgm-eval --model dinov2: ViT-L/14, Pillow's bicubic to 224×224 on bytes",
    )
)

PRDC = register(
    PRDCProtocol(
        **CLASS_TOKEN,
        neighbours=5,
        border="outside",
        most=10_000,
        replicates=1000,
        interval_seed=2020,
        source="Stein et al. 2023, dgm-eval: k = 5 on 10,000 pictures a side (clovaai/generative-evaluation-prdc), drawn "
        "there without a seed",
    )
)

FD_INFINITY = register(
    FDInfinityProtocol(
        **CLASS_TOKEN,
        fewer="shrink",
        replicates=100,
        interval_seed=2020,
        source="Stein et al. 2023, dgm-eval: 15 distances from 5,000 or a tenth of the pictures on, drawn there without a "
        "seed",
    )
)
