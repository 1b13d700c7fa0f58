"""Nearby attention in plain PyTorch: linear in tokens, in time and in memory, forward and backward.

Heads are worked through in chunks that stay in the processor's cache. Nothing but the inputs is kept for the backward pass,
which takes the weights anew: extra memory is the result and one chunk's scores.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
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
    return in_chunks(q, k, v, partial(forward, near), partial(backward, near))


def forward(near: Window, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of one chunk: q (g, s_q, k), k and v (g, s_kv, k) -> (g, s_q, k). Scores are scaled by 1/sqrt(k)."""
    return near.spread(_weights(near, q, k), v)


def backward(near: Window, q: Tensor, k: Tensor, v: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q, k and v of one chunk from the gradient (g, s_q, k) of :func:`forward`."""
    weights = _weights(near, q, k)
    slope = near.dots(grad, v, 0.0)  # of the loss in each weight
    slope = weights * (slope - (weights * slope).sum(0)) * _scale(q)  # of the loss in each unscaled score
    return near.spread(slope, k), near.collect(slope, q), near.collect(weights, grad)


def _weights(near: Window, q: Tensor, k: Tensor) -> Tensor:
    return (near.dots(q, k, float("-inf")) * _scale(q)).softmax(0)


def _scale(q: Tensor) -> float:
    return float(q.shape[-1]) ** -0.5


Forward = Callable[[Tensor, Tensor, Tensor], Tensor]
Backward = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def in_chunks(
    q: Tensor, k: Tensor, v: Tensor, forward: Forward, backward: Backward, *, equal: int | None = None
) -> Tensor:
    """Attention (b, n, s_q, k) by functions that work on one chunk of heads, differentiable once.

    ``equal`` asks for chunks of one size all, of about so many numbers, for functions that are compiled for it.
    """
    out: Tensor = _Chunked.apply(q, k, v, forward, backward, equal)
    return out


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, forward: Forward, backward: Backward, equal: int | None
    ) -> Tensor:
        ctx.save_for_backward(q, k, v)
        ctx.gradients, ctx.parts = backward, list(_chunks(q, equal))
        out = q.new_empty(q.shape)
        with torch.autocast(q.device.type, enabled=False):  # the inputs' precision is the caller's choice already
            for part in ctx.parts:
                _put(out, part, forward(*(_take(x, part) for x in (q, k, v))))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        q, k, v = ctx.saved_tensors
        grad_q, grad_k, grad_v = (x.new_empty(x.shape) for x in (q, k, v))
        with torch.autocast(q.device.type, enabled=False):
            for part in ctx.parts:
                gradients = ctx.gradients(*(_take(x, part) for x in (q, k, v, grad)))
                for whole, chunk in zip((grad_q, grad_k, grad_v), gradients, strict=True):
                    _put(whole, part, chunk)
        return grad_q, grad_k, grad_v, None, None, None


def _chunks(q: Tensor, equal: int | None) -> Iterator[tuple[slice, slice]]:
    """Slices of batch and heads: some heads of one sample, or all heads of some samples. Everything at once off the CPU."""
    b, n, s, k = q.shape
    fit = max(1, (equal or CHUNK) // (s * k)) if q.device.type == "cpu" else b * n
    heads = max(i for i in range(1, min(fit, n) + 1) if n % i == 0)
    samples = max(1, fit // n)
    if equal is not None:
        samples = max(i for i in range(1, min(samples, b) + 1) if b % i == 0)
    for i, j in itertools.product(range(0, b, samples), range(0, n, heads)):
        yield slice(i, i + samples), slice(j, j + heads)


def _take(x: Tensor, part: tuple[slice, slice]) -> Tensor:
    """A chunk as (g, s, k), at least float32."""
    return x.detach()[part].flatten(0, 1).to(torch.promote_types(x.dtype, torch.float32))


def _put(x: Tensor, part: tuple[slice, slice], value: Tensor) -> None:
    x[part] = value.view_as(x[part])


def why_not(problem: Problem) -> str | None:
    """None for nearby attention without a key_mask."""
    if not isinstance(problem.spec, Nearby3D):
        return f"it computes nearby3d only, and the spec is {problem.spec}"
    if problem.key_mask:
        return "it takes no key_mask"
    return None


BACKEND = Backend(run=local, why_not=why_not)
