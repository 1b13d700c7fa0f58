"""``@cd-fvd-1``: FVD of content-debiased-fvd (Ge et al. 2024) with I3D; its loader stores clips smaller first."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import videogpt
from evaluation.protocols.base import register

FVD = register(
    replace(
        videogpt.FVD,
        family="cd-fvd-1",
        resize="torch-bilinear",
        stored_px=128,
        ddof=0,
        arithmetic="float64",
        clips=2048,
        source="songweige/content-debiased-fvd, model='i3d', resolution=128 as in its published statistics",
    )
)
FVD_256PX = register(
    replace(
        FVD,
        family="cd-fvd-256px-1",
        stored_px=256,
        source="songweige/content-debiased-fvd, model='i3d', resolution=256, the default of load_videos",
    )
)
