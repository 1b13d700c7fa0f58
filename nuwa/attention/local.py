"""Nearby attention in plain PyTorch: linear in tokens, in time and in memory, forward and backward.

Heads are worked through in chunks that stay in the processor's cache. Nothing but the inputs is kept for the backward pass,
which takes the weights anew: extra memory is the result and one chunk's scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nuwa.attention.backend import Backend, Problem
from nuwa.attention.shifts import Window, window
from nuwa.attention.spec import Nearby3D

CHUNK = 2**18
"""Numbers of one chunk of queries on a CPU: 1 MiB in float32, half of a core's second-level cache."""


def local(q: Tensor, k: Tensor, v: Tensor, problem: Problem, key_mask: Tensor | None = None) -> Tensor:
    """Nearby attention by sums over the offsets of the window, (b, n, s_q, k). Half precision is summed in float32."""
    assert isinstance(problem.spec, Nearby3D)
    assert key_mask is None
    near = window(problem.spec, problem.grid, problem.kv_grid, problem.causal, str(q.device))
    out: Tensor = _Local.apply(q, k, v, near, problem.scale)
    return out


class _Local(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, near: Window, scale: float) -> Tensor:
        ctx.save_for_backward(q, k, v)
        ctx.near, ctx.scale = near, scale
        out = q.new_empty(q.shape)
        with torch.autocast(q.device.type, enabled=False):  # the inputs' precision is the caller's choice already
            for part in _chunks(q):
                weights = near.dots(_take(q, part) * scale, _take(k, part), float("-inf")).softmax(0)
                _put(out, part, near.spread(weights, _take(v, part)))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        (q, k, v), near, scale = ctx.saved_tensors, ctx.near, ctx.scale
        grad_q, grad_k, grad_v = (x.new_empty(x.shape) for x in (q, k, v))
        with torch.autocast(q.device.type, enabled=False):
            for part in _chunks(q):
                query, key, value, out = _take(q, part) * scale, _take(k, part), _take(v, part), _take(grad, part)
                weights = near.dots(query, key, float("-inf")).softmax(0)
                _put(grad_v, part, near.collect(weights, out))
                slope = near.dots(out, value, 0.0)  # of the loss in each weight
                slope = weights * (slope - (weights * slope).sum(0))  # of the loss in each score
                _put(grad_q, part, near.spread(slope, key).mul_(scale))
                _put(grad_k, part, near.collect(slope, query))
        return grad_q, grad_k, grad_v, None, None


def _chunks(q: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of batch and heads: some heads of one sample, or all heads of some samples. One chunk off the CPU."""
    b, n, s, k = q.shape
    fit = max(1, CHUNK // (s * k)) if q.device.type == "cpu" else b * n
    for i in range(0, b, max(1, fit // n)):
        for j in range(0, n, min(fit, n)):
            yield slice(i, i + max(1, fit // n)), slice(j, j + min(fit, n))


def _take(x: Tensor, part: tuple[slice, slice]) -> Tensor:
    """A chunk as (g, s, k), at least float32."""
    return x[part].flatten(0, 1).to(torch.promote_types(x.dtype, torch.float32))


def _put(x: Tensor, part: tuple[slice, slice], value: Tensor) -> None:
    x[part] = value.view_as(x[part])


def _why_not(problem: Problem) -> str | None:
    if not isinstance(problem.spec, Nearby3D):
        return f"it computes nearby3d only, and the spec is {problem.spec}"
    if problem.key_mask:
        return "it takes no key_mask"
    return None


BACKEND = Backend(run=local, why_not=_why_not)
