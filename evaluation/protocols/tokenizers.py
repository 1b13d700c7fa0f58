"""What is measured of a tokenizer by its own tokens, without another network."""

from __future__ import annotations

from evaluation.protocols.base import register
from evaluation.protocols.kinds import CodebookProtocol

CODEBOOK = register(
    CodebookProtocol(
        family="nuwa-1",
        replicates=200,
        interval_seed=2020,
        source="this project; perplexity as van den Oord et al. 2017 log it, exp of the entropy of the tokens",
    )
)
