"""``@clean-1``: FID, KID and CLIP-FID as Parmar, Zhang and Zhu 2022 make them (clean-fid)."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import openai_clip, ttur
from evaluation.protocols.base import register
from evaluation.protocols.kinds import FIDProtocol

FID = register(
    replace(
        ttur.FID,
        family="clean-1",
        resize="pil-bicubic-float",
        radii=(0,),
        source="clean-fid 0.1.35, mode clean; it reads the network from NVIDIA's TorchScript, whose numbers agree with "
        "these weights to 3e-5 on 5,000 pictures (its documentation)",
    )
)

KID = register(
    replace(
        ttur.KID,
        family="clean-1",
        resize="pil-bicubic-float",
        fewer="shrink",
        source="clean-fid 0.1.35, mode clean, which draws its subsets without a seed",
    )
)

CLIP_FID = register(
    FIDProtocol(
        **openai_clip.pictures("clip-vit-b-32"),
        metric="clip-fid",
        family="clean-1",
        width=512,
        resampled="generated",
        replicates=100,
        interval_seed=2020,
        source="clean-fid 0.1.35, model_name clip_vit_b_32 (Kynkäänniemi et al. 2022): embeddings as they come, not scaled "
        "to length 1; it computes them in half precision on a GPU, here they are float32",
    )
)
