"""``@adm-1``: FID of guided-diffusion's evaluator."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import ttur
from evaluation.protocols.base import register

FID = register(
    replace(
        ttur.FID,
        family="adm-1",
        radii=(0,),
        source="openai/guided-diffusion evaluations: the constants of TTUR, on uint8 pictures of an npz file; it reads "
        "the network from the TensorFlow graph these weights were converted from",
    )
)
