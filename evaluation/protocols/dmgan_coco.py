"""``@dmgan-coco-1``: the "FID" of the COCO text-to-image papers, which is another network and another resize.

On COCO it lies 2 to 10 points away from TTUR's (DM-GAN: 26.55 against 24.24). Most likely the rows that NÜWA's Table 1
takes from other papers were made so; that is a reading, not a statement of the paper.
"""

from __future__ import annotations

from evaluation.protocols.base import register
from evaluation.protocols.kinds import FIDProtocol

FID = register(
    FIDProtocol(
        family="dmgan-coco-1",
        network="inception-imagenet",
        layer="2048 after pooling",
        weights_sha256="1a9a5a14",
        width=2048,
        size_px=299,
        resize="pil-bilinear-uint8",
        normalise="imagenet-to-inception",
        radii=(0, 1, 2, 4, 8),
        blur_kernel="pil-box",
        drop_last_of=64,
        resampled="generated",
        replicates=100,
        interval_seed=2020,
        source="MinfengZhu/DM-GAN and THUDM/CogView FID scripts: torchvision's ImageNet weights, last batch of 64 dropped; "
        "FID-k with Pillow's GaussianBlur of both sides before the resize is our reading",
    )
)
