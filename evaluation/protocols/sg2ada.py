"""``@sg2ada-1``: FID of StyleGAN2-ADA and StyleGAN-V, whose covariance divides by n."""

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
