"""Which backend runs: the registered ones by name, and what ``auto`` takes where none is named."""

from __future__ import annotations

import torch

from nuwa.attention import compiled, dense, flex, gather, local, nearby_triton, reference, sdpa
from nuwa.attention.backend import Backend, Problem
from nuwa.attention.cost import count_pairs
from nuwa.attention.shifts import offsets
from nuwa.attention.spec import Full, Nearby3D
from nuwa.registry import Registry

BACKENDS: Registry[Backend] = Registry("attention backend")
BACKENDS.add("reference", reference.BACKEND)
BACKENDS.add("dense", dense.BACKEND)
BACKENDS.add("sdpa", sdpa.BACKEND)
BACKENDS.add("local", local.BACKEND)
BACKENDS.add("local-compiled", compiled.BACKEND)
BACKENDS.add("gather", gather.BACKEND)
BACKENDS.add("flex", flex.BACKEND)
BACKENDS.add("triton", nearby_triton.BACKEND)


FEW_TOKENS = 1024
"""Tokens up to which all pairs are soon done on a GPU."""


def choose(problem: Problem, backend: str = "auto") -> str:
    """Name of the backend that :func:`nuwa.attention.attend.attend` runs for ``problem``.

    ValueError where ``backend`` is unknown or cannot run the problem; ``"auto"`` always finds one.
    """
    if backend == "auto":
        return _measured(problem)
    reason = BACKENDS[backend].why_not(problem)
    if reason is not None:
        able = ", ".join(name for name in BACKENDS if BACKENDS[name].why_not(problem) is None)
        raise ValueError(
            f"attention backend {backend!r} cannot run this: {reason}; expected one of {able} here, or 'auto'"
        )
    return backend


def _measured(problem: Problem) -> str:
    """What was fastest on two cores with AVX-512, torch 2.14, heads of 32 and 64, 64 to 4,410 tokens.

    ========== ====================================================== ============== =====================
    device     problem                                                forward only   with backward pass
    ========== ====================================================== ============== =====================
    cpu        pairs <= 1/6 of all, or 1/12 in bf16 without backward  gather         gather
    cpu        nearby3d on one grid, tokens >= 20 x offsets           local          local
    cpu        the same in half precision, tokens >= 40 x offsets     local          local (from 20 x on)
    cpu        anything else in half precision, <= 256 x 256 pairs    sdpa           dense
    cpu        anything else                                          sdpa           sdpa
    cuda       nearby3d on one grid, tokens > 1,024                   triton         triton
    cuda       pairs <= 1/8 of all, tokens > 1,024, half precision    flex           flex
    cuda       anything else                                          sdpa           sdpa
    ========== ====================================================== ============== =====================

    The first line that fits counts, and ``gather`` needs a C++ compiler, so ``local`` is for machines without one and for
    fp16. The paper's decoder attention is 0.3% of all pairs on a clip of 10x21x21 and 1.1% on a picture. A window of 3x3x3
    has 27 offsets, 14 when causal, and 9 or 5 on a picture. ``local-compiled`` takes 1.3 to 1.7 times the time of ``gather``
    and half a minute for every new grid, so it is left to those who ask for it. ``nox -s bench`` measures all this again.

    On an H200 in bf16 ``triton`` takes a quarter of the time of ``flex``, a tenth to a thirtieth of that of dense causal
    ``sdpa`` and a fortieth to a hundredth of that of ``sdpa`` with a mask (10x32x32 and 32x32x32; ``docs/attention.md``). That
    ``flex``, which compiles for seconds for every new grid, is taken for other sparse variants is by its times for this one.
    """
    if problem.device != "cpu":
        return _on_a_gpu(problem)
    half = problem.dtype in (torch.bfloat16, torch.float16)
    if BACKENDS["gather"].why_not(problem) is None:
        pairs = count_pairs(problem.spec, problem.grid, problem.kv_grid, problem.causal)
        if pairs * (12 if half and not problem.grad else 6) <= problem.grid.size * problem.kv_grid.size:
            return "gather"
    if BACKENDS["local"].why_not(problem) is None and problem.grid == problem.kv_grid:
        assert isinstance(problem.spec, Nearby3D)
        count = len(offsets(problem.spec, problem.grid, problem.causal))
        if problem.grid.size >= (40 if half and not problem.grad else 20) * count:
            return "local"
    # The fused backward pass is slow in half precision on a CPU: 2 to 8 times the time of plain products.
    if half and problem.grad and problem.grid.size * problem.kv_grid.size <= 256 * 256:
        return "dense"
    return "sdpa"


def _on_a_gpu(problem: Problem) -> str:
    if min(problem.grid.size, problem.kv_grid.size) <= FEW_TOKENS:
        return "sdpa"
    if BACKENDS["triton"].why_not(problem) is None:
        return "triton"
    half = problem.dtype in (torch.bfloat16, torch.float16)
    if half and not isinstance(problem.spec, Full) and BACKENDS["flex"].why_not(problem) is None:
        pairs = count_pairs(problem.spec, problem.grid, problem.kv_grid, problem.causal)
        if pairs * 8 <= problem.grid.size * problem.kv_grid.size:
            return "flex"
    return "sdpa"
