"""Two matrix products around a softmax: for short sequences, where fused attention's backward is the slower one."""

from __future__ import annotations

import torch
from torch import Tensor

from nuwa.attention.backend import Backend, Problem
from nuwa.attention.masks import mask
from nuwa.attention.spec import Full


def dense(q: Tensor, k: Tensor, v: Tensor, problem: Problem, key_mask: Tensor | None = None) -> Tensor:
    """softmax(q k' / sqrt(k)) v with all scores in memory, (b, n, s_q, k). A query with no key to see yields zeros."""
    scores = (q * problem.scale) @ k.mT
    admitted = None if key_mask is None else key_mask[:, None, None, :]
    if problem.causal or not isinstance(problem.spec, Full):
        seen = mask(problem.spec, problem.grid, problem.kv_grid, problem.causal, q.device)
        admitted = seen if admitted is None else admitted & seen
    if admitted is None:
        return scores.softmax(-1) @ v
    # The least finite number instead of -inf keeps a row without keys, which a key_mask can bring about, free of NaN.
    weights = scores.masked_fill(~admitted, torch.finfo(scores.dtype).min).softmax(-1)
    return weights.masked_fill(~admitted, 0.0) @ v


BACKEND = Backend(run=dense)
