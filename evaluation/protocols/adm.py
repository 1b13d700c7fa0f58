"""``@adm-1``: FID, IS, precision and recall of guided-diffusion's evaluator."""

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

INCEPTION_SCORE = register(
    replace(
        ttur.INCEPTION_SCORE,
        family="adm-1",
        shuffle=False,
        split_rule="blocks",
        split_size=5000,
        source="openai/guided-diffusion evaluations: blocks of 5,000 in the order of the npz file, so a file sorted by "
        "class scores far lower than a mixed one (issue 165: 62.07 and 298.45)",
    )
)

PRDC = register(
    replace(
        ttur.PRDC,
        family="adm-1",
        source="openai/guided-diffusion evaluations: k = 3, published against the 10,000 pictures of its reference file; it "
        "compares distances in half precision where they are finite, here they are exact",
    )
)
