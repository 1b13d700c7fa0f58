"""``@pytorch-fid-1``: FID as mseitzer/pytorch-fid computes it."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import ttur
from evaluation.protocols.base import register

FID = register(
    replace(
        ttur.FID,
        family="pytorch-fid-1",
        resize="torch-bilinear",
        normalise="over-127.5-minus-1",
        radii=(0,),
        source="pytorch-fid 0.3: half-pixel bilinear without antialias, 2x − 1 on x in [0, 1]",
    )
)
