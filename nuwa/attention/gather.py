"""Sparse attention of every variant on a CPU: each query meets the keys that are listed for it, and no others.

Time and memory grow with the pairs that really meet. The kernel is a page of C++ (``gather.cpp``) that is compiled on first
use, once per machine and not once per grid. Nothing but the inputs is kept for the backward pass, which takes the weights
anew. Only admitted pairs enter a sum, so a NaN stays inside the rows that hold it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nuwa.attention import native
from nuwa.attention.backend import Backend, Problem
from nuwa.attention.cost import count_pairs
from nuwa.attention.rows import Rows, rows
from nuwa.attention.spec import Full

SOURCE = Path(__file__).with_suffix(".cpp")
DTYPES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}

MOST_PAIRS = 2**27
"""Pairs that are listed, four bytes each."""

PER_THREAD = 2**21
"""Products of numbers that are worth a thread: about half a millisecond."""


def gather(q: Tensor, k: Tensor, v: Tensor, problem: Problem, key_mask: Tensor | None = None) -> Tensor:
    """Attention over listed keys, (b, n, s_q, k). A query with no key to see yields zeros. bfloat16 is summed in float32."""
    listed = rows(problem.spec, problem.grid, problem.kv_grid, problem.causal)
    out: Tensor = _Gather.apply(q, k, v, listed, key_mask)
    return out


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, listed: Rows, key_mask: Tensor | None) -> Tensor:
        ctx.save_for_backward(q, k, v)
        ctx.listed, ctx.key_mask = listed, key_mask
        q, k, v = (_dense_rows(x) for x in (q, k, v))
        out = torch.empty_like(q, memory_format=torch.preserve_format)
        _call("forward", _problem(q, k, listed, key_mask), q, k, v, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, grad = (_dense_rows(x) for x in (*ctx.saved_tensors, grad))
        grad_q = torch.empty_like(q, memory_format=torch.preserve_format)
        grad_k, grad_v = (torch.empty_like(x, memory_format=torch.contiguous_format) for x in (k, v))
        _call("backward", _problem(q, k, ctx.listed, ctx.key_mask), q, k, v, grad, grad_q, grad_k, grad_v)
        return grad_q, grad_k, grad_v, None, None


class _Problem(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "heads", "queries", "keys", "width", "threads")),
        *((name, ctypes.c_void_p) for name in ("first", "key", "existing")),
        ("scale", ctypes.c_double),
    )


class _View(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), *((name, ctypes.c_int64) for name in ("batch", "head", "token")))

    @classmethod
    def of(cls, x: Tensor) -> _View:
        return cls(x.data_ptr(), *x.stride()[:3])


def _problem(q: Tensor, k: Tensor, listed: Rows, key_mask: Tensor | None) -> _Problem:
    b, n, s, width = q.shape
    work = b * n * len(listed.key) * width
    threads = min(torch.get_num_threads(), 1 + work // PER_THREAD)
    existing = None if key_mask is None else key_mask.contiguous()
    problem = _Problem(
        *(b, n, s, k.shape[2], width, threads),
        *(listed.first.data_ptr(), listed.key.data_ptr(), existing.data_ptr() if existing is not None else None),
        float(width) ** -0.5,
    )
    problem.keeps_alive = existing
    return problem


def _dense_rows(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 or x.shape[-1] == 1 else x.contiguous()


def _call(name: str, problem: _Problem, *tensors: Tensor) -> None:
    """Run a function of the library; other Python threads go on meanwhile."""
    library = native.library(SOURCE)
    assert isinstance(library, ctypes.CDLL)
    function: Callable[..., None] = library[f"{name}_{DTYPES[tensors[0].dtype]}"]
    function(ctypes.byref(problem), *(ctypes.byref(_View.of(x)) for x in tensors))


def why_not(problem: Problem) -> str | None:
    """None for sparse attention on a CPU in float32, float64 or bfloat16, where there is a compiler."""
    if problem.device != "cpu":
        return f"its kernel runs on the CPU, and this is {problem.device}"
    if problem.dtype not in DTYPES:
        return f"it takes {', '.join(map(str, DTYPES))}, and this is {problem.dtype}"
    if isinstance(problem.spec, Full):
        return "it lists the keys of every query, and full attention has them all"
    pairs = count_pairs(problem.spec, problem.grid, problem.kv_grid, problem.causal)
    if pairs > MOST_PAIRS:
        return f"it lists up to {MOST_PAIRS:,} pairs of cells, and here {pairs:,} meet"
    library = native.library(SOURCE)
    return library if isinstance(library, str) else None


BACKEND = Backend(run=gather, why_not=why_not)
