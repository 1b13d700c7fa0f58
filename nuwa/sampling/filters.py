"""From logits to a token: guidance, temperature, top-k, top-p, and one uniform number turned by the inverse CDF."""

from __future__ import annotations

import torch
from torch import Tensor


def guide(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (arXiv 2207.12598): unconditional + scale · (conditional − unconditional)."""
    return unconditional + scale * (conditional - unconditional)


def probabilities(logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0) -> Tensor:
    """Probabilities (..., v) float64 of logits (..., v) after temperature, then top-k, then top-p.

    Top-k keeps the k likeliest codes and those that are as likely as the last of them. Top-p keeps the smallest set of
    likeliest codes whose probability reaches ``top_p``, of equal ones the first; the likeliest is always kept.
    """
    scaled = logits.double()
    if temperature != 1.0:
        scaled = scaled / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        least = scaled.topk(top_k, dim=-1).values[..., -1:]
        scaled = scaled.masked_fill(scaled < least, -torch.inf)
    p = scaled.softmax(dim=-1)
    if top_p < 1.0:
        ordered, codes = p.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(dim=-1) - ordered
        dropped = torch.zeros_like(p, dtype=torch.bool).scatter(-1, codes, before >= top_p)
        p = p.masked_fill(dropped, 0.0)
        p = p / p.sum(dim=-1, keepdim=True)
    return p


def invert_cdf(p: Tensor, u: Tensor) -> Tensor:
    """The code at which the cumulative probabilities (..., v) pass u (...) in [0, 1): int64 (...).

    A code of probability zero is never returned.
    """
    cdf = p.cumsum(dim=-1)
    whole = cdf[..., -1]
    below = whole.nextafter(torch.zeros_like(whole))  # in single precision a number close to 1 is 1
    at = torch.minimum(u.to(cdf.dtype) * whole, below)
    return torch.searchsorted(cdf, at[..., None], right=True)[..., 0]
