"""What is measured of a region of pictures: of a hole that was filled, and of what was to stay."""

from __future__ import annotations

from evaluation.protocols.base import register
from evaluation.protocols.pair_kinds import MaskedSSIMProtocol, UnchangedProtocol

MASKED_SSIM = register(
    MaskedSSIMProtocol(
        family="nuwa-1",
        border="reflect",
        elsewhere="real",
        source="this project; the map of ssim@torchmetrics-1, averaged over the region",
    )
)
UNCHANGED = register(UnchangedProtocol(family="nuwa-1", source="this project"))
