"""``@torchmetrics-aa-1``: what torchmetrics calls FID since 1.8, which resizes with antialias and cuts floats to bytes."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import ttur
from evaluation.protocols.base import register

FID = register(
    replace(
        ttur.FID,
        family="torchmetrics-aa-1",
        resize="torch-bilinear-antialias",
        quantise="truncate",
        radii=(0,),
        source="torchmetrics 1.8 and later (antialias=True by default, normalize=True for floats)",
    )
)
