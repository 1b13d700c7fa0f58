"""``@improved-gan-1``: the original Inception Score, which the COCO text-to-image papers of 2018 to 2021 used."""

from __future__ import annotations

from dataclasses import replace

from evaluation.protocols import ttur
from evaluation.protocols.base import register

INCEPTION_SCORE = register(
    replace(
        ttur.INCEPTION_SCORE,
        family="improved-gan-1",
        shuffle=False,
        source="openai/improved-gan inception_score (Salimans et al. 2016): ten splits in the order of the files; AttnGAN "
        "and DM-GAN report it on COCO. It reads the network from the TensorFlow graph these weights were converted from",
    )
)
