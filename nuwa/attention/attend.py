"""The one entry point: attention of any variant, on any pair of grids, through any backend."""

from __future__ import annotations

from torch import Tensor

from nuwa.attention.backend import Problem
from nuwa.attention.choice import BACKENDS, choose
from nuwa.attention.spec import AttentionSpec
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
        backend: a name from ``BACKENDS``, or ``"auto"`` for what :func:`nuwa.attention.choice.choose` says.

    Returns:
        (b, n, s_q, k) in the dtype of ``q``. A query whose every key is masked out yields zeros.

    Raises:
        ValueError: shapes that do not fit the grids or each other, an unknown backend, or one that cannot run
            the problem.
    """
    problem = Problem.of(q, k, v, spec=spec, grid=grid, kv_grid=kv_grid, causal=causal, key_mask=key_mask)
    return BACKENDS[choose(problem, backend)].run(q, k, v, problem, key_mask)
