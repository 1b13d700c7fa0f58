"""A codebook that was trained elsewhere: it is read and not changed."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nuwa.tokenizers.quantize import Codes

Matching = Literal["nearest", "logits"]
"""How a vector finds its code: the nearest one by Euclidean distance, or the likeliest by a linear map (Gumbel VQ)."""

PART = 16_384  # vectors that are compared at once


class FixedCodebook(Codes):
    """v codes of width c.

    Codes of length 1 find the same code by distance as by angle, so ``nearest`` serves codebooks that are l2-normalised too.
    """

    def __init__(self, num_codes: int, width: int, matching: Matching = "nearest") -> None:
        super().__init__(num_codes, width, torch.randn(num_codes, width))
        self.logits = nn.Conv2d(width, num_codes, 1) if matching == "logits" else None

    @torch.no_grad()
    def nearest(self, x: Tensor) -> Tensor:
        """Indices (b, h, w) int64 of the codes of vectors (b, c, h, w) float."""
        with torch.autocast(x.device.type, enabled=False):
            if self.logits is not None:
                return self.logits(x.float()).argmax(dim=1)
            flat, half = x.float().movedim(1, -1).flatten(0, 2), self.codes.square().sum(dim=-1) / 2
            found = [(part @ self.codes.T - half).argmax(dim=-1) for part in flat.split(PART)]
        return torch.cat(found).view(x.shape[0], *x.shape[2:])
