"""PyTorch's fused attention: plain for full attention, with a cached boolean mask for every other variant."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from nuwa.attention.backend import Backend, Problem
from nuwa.attention.masks import mask
from nuwa.attention.spec import Full


def sdpa(q: Tensor, k: Tensor, v: Tensor, problem: Problem, key_mask: Tensor | None = None) -> Tensor:
    """``scaled_dot_product_attention``, (b, n, s_q, k). A query with no key to see yields zeros."""
    if isinstance(problem.spec, Full) and not (problem.causal and key_mask is not None):
        if key_mask is not None:
            return scaled_dot_product_attention(q, k, v, attn_mask=key_mask[:, None, None, :])
        return scaled_dot_product_attention(q, k, v, is_causal=problem.causal)
    admitted = mask(problem.spec, problem.grid, problem.kv_grid, problem.causal, q.device)
    if key_mask is not None:
        admitted = admitted & key_mask[:, None, None, :]
    return scaled_dot_product_attention(q, k, v, attn_mask=admitted)


BACKEND = Backend(run=sdpa)
