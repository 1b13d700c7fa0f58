"""The one entry point: attention of any variant, on any pair of grids, through any backend."""

from __future__ import annotations

import torch
from torch import Tensor

from nuwa.attention import dense, local, reference, sdpa  # noqa: F401  each registers its backend
from nuwa.attention.backend import BACKENDS, Problem
from nuwa.attention.spec import AttentionSpec, Nearby3D
from nuwa.grid import Grid


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    spec: AttentionSpec,
    grid: Grid,
    kv_grid: Grid | None = None,
    causal: bool = False,
    key_mask: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Multi-head attention over grids of tokens: softmax(q k' / sqrt(k)) v over the keys that ``spec`` admits.

    Args:
        q: queries (b, n, s_q, k), any floating dtype, unscaled, tokens in raster order.
        k: keys (b, n, s_kv, k), same dtype and device.
        v: values (b, n, s_kv, k), same dtype and device.
        spec: the variant, such as ``Nearby3D(extent=(3, 3, 3))``.
        grid: the queries' grid, ``s_q`` cells.
        kv_grid: the keys' grid for cross attention, ``s_kv`` cells; None for self attention.
        causal: only keys at or before the query in raster order; self attention only.
        key_mask: bool (b, s_kv), True for keys that exist, False for padding such as the end of a short text.
        backend: a name from ``BACKENDS``, or ``"auto"`` for what :func:`choose` says.

    Returns:
        (b, n, s_q, k) in the dtype of ``q``. A query whose every key is masked out yields zeros.

    Raises:
        ValueError: shapes that do not fit the grids or each other, an unknown backend, or one that cannot run
            the problem.
    """
    problem = Problem.of(q, k, v, spec=spec, grid=grid, kv_grid=kv_grid, causal=causal, key_mask=key_mask)
    name = choose(problem, backend)
    return BACKENDS[name].run(q, k, v, problem, key_mask)


def choose(problem: Problem, backend: str = "auto") -> str:
    """Name of the backend that :func:`attend` runs for ``problem``.

    ValueError where ``backend`` is unknown or cannot run the problem; ``"auto"`` always finds one.
    """
    if backend != "auto":
        reason = BACKENDS[backend].why_not(problem)
        if reason is not None:
            able = [name for name in BACKENDS if BACKENDS[name].why_not(problem) is None]
            raise ValueError(
                f"attention backend {backend!r} cannot run this: {reason}; "
                f"expected one of {', '.join(able)} here, or 'auto'"
            )
        return backend
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
