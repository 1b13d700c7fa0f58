"""``@google-1``: the original FVD (Unterthiner et al. 2018, google-research/frechet_video_distance)."""

from __future__ import annotations

from evaluation.protocols.base import register
from evaluation.protocols.clip_kinds import ClipDistanceProtocol

I3D_TORCHSCRIPT_SHA256 = "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"

FVD = register(
    ClipDistanceProtocol(
        metric="fvd",
        family="google-1",
        network="i3d-torchscript",
        layer="400 class logits, averaged over time",
        weights_sha256=I3D_TORCHSCRIPT_SHA256,
        read="logits",
        width=400,
        size_px=224,
        resize="tf1-bilinear",
        normalise="over-127.5-minus-1",
        frames=16,
        min_frames=10,
        replicates=100,
        interval_seed=2020,
        source="google-research/frechet_video_distance with TF-Hub's deepmind/i3d-kinetics-400, here in the TorchScript "
        "port of StyleGAN-V, which agrees to 1e-6 (universome/fvd-comparison)",
    )
)

FVD_15F = register(FVD.of_frames(15))
"""15 frames: the example of the original, and BAIR's predicted frames without the one that is given."""
