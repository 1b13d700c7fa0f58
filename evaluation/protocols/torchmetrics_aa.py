"""``@torchmetrics-aa-1``: what torchmetrics calls FID, IS and KID since 1.8.

It resizes with antialias, unlike every other tool, and cuts floats to bytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evaluation.protocols import ttur
from evaluation.protocols.base import register

_PICTURES: dict[str, Any] = {
    "family": "torchmetrics-aa-1",
    "resize": "torch-bilinear-antialias",
    "quantise": "truncate",
}

FID = register(
    replace(
        ttur.FID,
        **_PICTURES,
        radii=(0,),
        source="torchmetrics 1.8 and later (antialias=True by default, normalize=True for floats)",
    )
)

INCEPTION_SCORE = register(
    replace(
        ttur.INCEPTION_SCORE,
        **_PICTURES,
        shuffled_by="torch",
        split_rule="chunks",
        ddof=1,
        source="torchmetrics 1.8 and later: torch.randperm, which it does not seed, then ten chunks",
    )
)

KID = register(
    replace(
        ttur.KID,
        **_PICTURES,
        drawn_by="torch",
        source="torchmetrics 1.8 and later: subsets by torch.randperm, which it does not seed",
    )
)
