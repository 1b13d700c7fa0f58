"""``@clean-1``: FID with the antialiased bicubic of Parmar, Zhang and Zhu 2022 (clean-fid)."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import ttur
from evaluation.protocols.base import register

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
