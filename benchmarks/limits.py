"""What is too large for this machine: said before it is tried, since a process out of memory takes its record with it."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from benchmarks.problems import Heads
from nuwa.attention import Problem, cost

CPU_FLOPS = 1e11
"""Operations a second of fused dense attention on two cores, forward, rounded down; plain products take ten times as long."""

BACKWARD = 5.0
"""Time of a forward and backward pass over that of a forward pass, for dense attention on a CPU."""


def why_not_here(backend: str, problem: Problem, heads: Heads, patience_s: float) -> str | None:
    """None where ``backend`` can be expected to finish ``problem`` in time and in memory, otherwise the reason."""
    if problem.device != "cpu":
        return _why_not_on_a_gpu(backend, problem, heads)
    if backend == "flex":  # skips tiles without a pair; a full mask has none of them
        return too_long(flops_of(problem, heads) / CPU_FLOPS, patience_s)
    if backend not in ("sdpa", "dense"):
        return None  # linear in tokens
    pairs = problem.grid.size * problem.kv_grid.size
    scores = pairs * heads.batch * heads.num_heads * 4
    masked = not (problem.spec.name == "full" and problem.causal)
    needed = 3 * scores if backend == "dense" else 5 * pairs * masked  # a mask of bits and one of numbers
    if (reason := too_much_memory(needed)) is not None:
        return reason
    flops = 4 * pairs * heads.batch * heads.num_heads * heads.head_width / (1 if masked else 2)
    slower = (BACKWARD if problem.grad else 1.0) * (10.0 if backend == "dense" else 1.0)
    return too_long(flops / CPU_FLOPS * slower, patience_s)


def _why_not_on_a_gpu(backend: str, problem: Problem, heads: Heads) -> str | None:
    """What is too large without being asked for: a GPU says the rest itself, and lives on."""
    if backend == "local-compiled":
        return "left out on a GPU: it compiles for minutes what triton was written for"
    if backend == "flex" and problem.spec.name == "full":
        return "left out on a GPU: with all pairs of the past it has no more to skip than sdpa, and compiles for long"
    if backend == "dense":
        scores = problem.grid.size * problem.kv_grid.size * heads.batch * heads.num_heads * problem.dtype.itemsize
        needed, free = scores * (5 if problem.grad else 3), torch.cuda.mem_get_info()[0]
        return None if needed <= free else _out_of_memory(needed, free)
    return None


def too_long(seconds: float, patience_s: float) -> str | None:
    """Why a pass of about ``seconds`` is not started, None where it is."""
    return f"about {seconds:,.0f} s a pass, more than {patience_s:.0f} s" if seconds > patience_s else None


def too_much_memory(needed: float) -> str | None:
    """Why something that takes ``needed`` bytes is not started, None where it is: four fifths of what is free are spent."""
    free = free_bytes()
    return None if needed <= 0.8 * free else _out_of_memory(needed, free)


def _out_of_memory(needed: float, free: float) -> str:
    return f"out of memory: about {needed / 2**30:,.0f} GiB, of {free / 2**30:,.0f} GiB free"


def free_bytes() -> int:
    """Memory a process can still get: what Linux says is available, caches counted in, elsewhere the free pages."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text(encoding="ascii").splitlines() if meminfo.exists() else []
    for line in lines:
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def flops_of(problem: Problem, heads: Heads) -> int:
    """Operations of the pairs that meet; a backward pass that takes the scores anew costs 2.5 times the forward pass."""
    spent = cost(
        problem.spec,
        problem.grid,
        problem.kv_grid,
        problem.causal,
        num_heads=heads.num_heads,
        head_width=heads.head_width,
        batch=heads.batch,
    )
    return round(spent.flops * (3.5 if problem.grad else 1))
