"""Two matrix products around a softmax: for short sequences, where fused attention's backward is the slower one."""

from __future__ import annotations

import torch
from torch import Tensor

from nuwa.attention.backend import BACKENDS, Backend, Problem
from nuwa.attention.masks import mask
from nuwa.attention.spec import Full


def dense(q: Tensor, k: Tensor, v: Tensor, problem: Problem, key_mask: Tensor | None = None) -> Tensor:
    """softmax(q k' / sqrt(k)) v with all scores in memory, (b, n, s_q, k). A query with no key to see yields zeros."""
    scores = (q * problem.scale) @ k.transpose(-1, -2)
    hidden = None if key_mask is None else ~key_mask[:, None, None, :]
    if problem.causal or not isinstance(problem.spec, Full):
        unseen = ~mask(problem.spec, problem.grid, problem.kv_grid, problem.causal, q.device)
        hidden = unseen if hidden is None else hidden | unseen
    if hidden is not None:
        scores = scores.masked_fill(hidden, -torch.inf)
    weights = scores.softmax(dim=-1)
    if key_mask is not None and hidden is not None:  # only a padded condition can leave a query without a key
        weights = weights.masked_fill(hidden.all(dim=-1, keepdim=True), 0.0)
    return weights.to(v.dtype) @ v


BACKENDS.add("dense", Backend(run=dense))
