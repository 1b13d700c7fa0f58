"""``@sg2ada-1``: FID, IS and KID of StyleGAN2-ADA and StyleGAN-V; their covariance divides by n."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import ttur
from evaluation.protocols.base import register

FID = register(
    replace(
        ttur.FID,
        family="sg2ada-1",
        ddof=0,
        radii=(0,),
        source="stylegan2-ada-pytorch metrics; it reads the network, with TensorFlow's resize inside, from NVIDIA's "
        "TorchScript of the same weights",
    )
)

INCEPTION_SCORE = register(
    replace(
        ttur.INCEPTION_SCORE,
        family="sg2ada-1",
        shuffle=False,
        source="stylegan2-ada-pytorch metrics: ten splits in the order of the generator",
    )
)

KID = register(
    replace(
        ttur.KID,
        family="sg2ada-1",
        fewer="shrink",
        source="stylegan2-ada-pytorch metrics, which draws its subsets without a seed",
    )
)
