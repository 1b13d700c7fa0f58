"""``@videogpt-1``: FVD of VideoGPT (Yan et al. 2021), on another port of I3D, with the arithmetic in float32."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols.base import register
from evaluation.protocols.clip_kinds import ClipDistanceProtocol

I3D_SHA256 = "55095f049e706479d48e221adcdb145b2b9dc930ba28b081ed72367ffaa32343"

FVD = register(
    ClipDistanceProtocol(
        metric="fvd",
        family="videogpt-1",
        network="i3d-kinetics-400",
        layer="400 class logits, averaged over time",
        weights_sha256=I3D_SHA256,
        read="logits",
        width=400,
        size_px=224,
        resize="torch-bilinear-crop",
        normalise="over-127.5-minus-1",
        quantise="truncate",
        frames=16,
        min_frames=10,
        arithmetic="float32",
        clips=256,
        replicates=100,
        interval_seed=2020,
        source="wilson1yan/VideoGPT, scripts/compute_fvd.py, in the range [-1, 1] of its followers (MCVD, "
        "common_metrics_on_video_quality); TATS resizes straight to the square, which is the same for square clips",
    )
)

FVD_FLOAT64 = register(
    replace(
        FVD,
        family="videogpt-float64-1",
        arithmetic="float64",
        source="as fvd@videogpt-1, without the rounding of float32, which moves with the order and the batches of the clips",
    )
)
