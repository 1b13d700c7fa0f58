"""``@edm2-1``: FD-DINOv2 as EDM2 measures it."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import dgm
from evaluation.protocols.base import register

FD_DINOV2 = register(
    replace(
        dgm.FD_DINOV2,
        family="edm2-1",
        resize="torch-bicubic-antialias",
        source="NVlabs/edm2 calculate_metrics.py, fd_dinov2: torch's antialiased bicubic in place of Pillow's, almost the "
        "same numbers",
    )
)
