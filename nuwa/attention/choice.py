"""Which backend runs: the registered ones by name, and what ``auto`` takes where none is named."""

from __future__ import annotations

import torch

from nuwa.attention import compiled, dense, flex, local, reference, sdpa
from nuwa.attention.backend import Backend, Problem
from nuwa.attention.spec import Nearby3D
from nuwa.registry import Registry

BACKENDS: Registry[Backend] = Registry("attention backend")
BACKENDS.add("reference", reference.BACKEND)
BACKENDS.add("dense", dense.BACKEND)
BACKENDS.add("sdpa", sdpa.BACKEND)
BACKENDS.add("local", local.BACKEND)
BACKENDS.add("local-compiled", compiled.BACKEND)
BACKENDS.add("flex", flex.BACKEND)


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
    if (
        isinstance(problem.spec, Nearby3D)
        and not problem.key_mask
        and problem.device == "cpu"
        and problem.grid.size >= 256
    ):
        return "local"
    # Training on a CPU in bfloat16, 64 to 80 tokens: the fused backward takes 2 to 8 times the time of plain products.
    short = problem.grid.size * problem.kv_grid.size <= 128 * 128
    if problem.device == "cpu" and problem.grad and problem.dtype == torch.bfloat16 and short:
        return "dense"
    return "sdpa"
