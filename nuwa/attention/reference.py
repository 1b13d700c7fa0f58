"""The truth: a boolean mask and a softmax in float64. Slow, quadratic, and short enough to be checked by eye."""

from __future__ import annotations

import torch
from torch import Tensor

from nuwa.attention.backend import Backend, Problem
from nuwa.attention.masks import mask


def reference(q: Tensor, k: Tensor, v: Tensor, problem: Problem, key_mask: Tensor | None = None) -> Tensor:
    """Attention from the definition, computed in float64 and returned in the dtype of ``q``, (b, n, s_q, k).

    A query with no key to see, which only a ``key_mask`` can bring about, yields zeros.
    """
    admitted = mask(problem.spec, problem.grid, problem.kv_grid, problem.causal, q.device)
    if key_mask is not None:
        admitted = admitted & key_mask[:, None, None, :]  # (b, 1, s_q, s_kv)
    scores = torch.einsum("bnqk,bnsk->bnqs", q.double(), k.double()) * problem.scale
    scores = scores.masked_fill(~admitted, float("-inf"))
    peak = scores.detach().amax(-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).min)  # finite in an empty row too
    weights = (scores - peak).exp()
    weights = weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
    return torch.einsum("bnqs,bnsk->bnqk", weights, v.double()).to(q.dtype)


BACKEND = Backend(run=reference)
