"""``@stylegan-v-1``: FVD of StyleGAN-V (Skorokhodov et al. 2022), whose file resizes and whose covariance divides by n.

Real clips start anywhere in their video and generated ones at its first frame; shorter videos are left out. Both are the
caller's choice of clips: nothing here draws, repeats or drops one.
"""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import google
from evaluation.protocols.base import register

FVD = register(
    replace(
        google.FVD,
        family="stylegan-v-1",
        resize="inside-network",
        normalise="none",
        ddof=0,
        clips=2048,
        source="universome/stylegan-v, fvd2048_16f: resize=True, rescale=True, return_features=True on bytes",
    )
)
FVD_128F = register(replace(FVD.of_frames(128), source="universome/stylegan-v, fvd2048_128f"))
FVD_128F_STEP_8 = register(
    replace(
        FVD,
        family="stylegan-v-step8-1",
        frame_step=8,
        source="universome/stylegan-v, fvd2048_128f_subsample8f: 16 frames, every eighth of 128",
    )
)
