"""How a tokenizer uses its codebook on a test set."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from evaluation.records import MetricValue
from nuwa.tokenizers.quantize import Usage

REPLICATES, SEED = 200, 2020


def codebook_usage(tokens: Tensor, num_codes: int) -> list[MetricValue]:
    """Share of codes in use and perplexity of tokens (m, t, h, w) int64, with 95% bootstrap intervals over samples.

    Fewer distinct samples use fewer codes, so the interval of the share lies below its value.
    """
    generator = np.random.default_rng(SEED)
    draws = [torch.from_numpy(generator.integers(len(tokens), size=len(tokens))) for _ in range(REPLICATES)]
    replicates = [Usage.of(tokens[rows], num_codes) for rows in draws]
    found = Usage.of(tokens, num_codes)
    return [
        _value("codebook usage", found.share, [each.share for each in replicates], len(tokens)),
        _value("codebook perplexity", found.perplexity, [each.perplexity for each in replicates], len(tokens)),
    ]


def _value(name: str, value: float, replicates: list[float], n: int) -> MetricValue:
    low, high = np.quantile(replicates, [0.025, 0.975]).tolist()
    return MetricValue(name=name, protocol="codebook@nuwa-1", value=value, ci95=(low, high), n=n, higher_is_better=True)
