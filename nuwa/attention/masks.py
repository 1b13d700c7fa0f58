"""The definition of every attention variant: a boolean matrix of who sees whom.

Two rules hold for all variants. *Cross attention* between unequal grids centres a query on the floored, rescaled cell
``floor(i * kv / q)`` of each axis of the keys' grid (arXiv 2111.12417, section 3.2). *Causal* means raster order inside
the pattern: all admitted cells of earlier frames, of rows above, of the same row to the left, and the query's own cell.

Results are cached and shared: do not write into them.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from nuwa.attention.spec import AttentionSpec
from nuwa.grid import Grid

CACHED = 16
"""Patterns kept in memory: a few layers' worth of (variant, grids, causal), not a history of grids."""


def centres(grid: Grid, kv_grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    """For each axis, the coordinate of the keys' grid that each coordinate of the queries' grid stands on.

    Three int64 vectors of lengths t, h, w of ``grid``, each value in [0, length of that axis in ``kv_grid``).
    """
    t, h, w = (torch.arange(n, device="cpu") * m // n for n, m in zip(grid.shape, kv_grid.shape, strict=True))
    return t, h, w


def mask(
    spec: AttentionSpec,
    grid: Grid,
    kv_grid: Grid | None = None,
    causal: bool = False,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Who sees whom, bool (s_q, s_kv): row = query cell, column = key cell, both in raster order.

    Args:
        spec: the variant.
        grid: the queries' grid.
        kv_grid: the keys' grid for cross attention, counted on its own axes; None for self attention.
        causal: keep only keys at or before the query in raster order. Self attention only.
        device: where the mask is wanted.

    Raises:
        ValueError: causal attention between two different grids.

    >>> from nuwa.attention.spec import Nearby3D
    >>> mask(Nearby3D(extent=(1, 1, 3)), Grid(1, 1, 4), causal=True).int().tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    """
    return _mask(spec, grid, check_causal(grid, kv_grid, causal), causal, str(device))


def dependencies(spec: AttentionSpec, grid: Grid) -> Tensor:
    """Which cells a cell waits for when decoding, bool (s, s): the causal mask without its diagonal."""
    return mask(spec, grid, causal=True).logical_and(~torch.eye(grid.size, dtype=torch.bool, device="cpu"))


def neighbours(
    spec: AttentionSpec,
    grid: Grid,
    kv_grid: Grid | None = None,
    causal: bool = False,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """The rows of :func:`mask` as padded lists, to gather keys with.

    Returns:
        ``index`` int64 (s_q, m) holds the admitted key cells of each query in raster order, and ``valid`` bool (s_q, m)
        is False on the padding, whose index is 0. ``m`` is the largest number of keys that any query sees.

    >>> from nuwa.attention.spec import Nearby3D
    >>> index, valid = neighbours(Nearby3D(extent=(1, 1, 3)), Grid(1, 1, 4), causal=True)
    >>> index.tolist(), valid.int().tolist()
    ([[0, 0], [0, 1], [1, 2], [2, 3]], [[1, 0], [1, 1], [1, 1], [1, 1]])
    """
    return _neighbours(spec, grid, check_causal(grid, kv_grid, causal), causal, str(device))


def check_causal(grid: Grid, kv_grid: Grid | None, causal: bool) -> Grid:
    """The keys' grid, which is the queries' where none is given. ValueError for causal attention between two grids."""
    if kv_grid is None:
        return grid
    if causal and kv_grid != grid:
        raise ValueError(
            f"causal attention: expected queries and keys on one grid, got {grid} and {kv_grid}; "
            "raster order is defined inside a grid only, so pass causal=False for cross attention"
        )
    return kv_grid


# The caches outlive the call that fills them, so what they hold must serve autograd too: a tensor made under inference
# mode could not be saved for a backward pass later.


@lru_cache(maxsize=CACHED)
def _mask(spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool, device: str) -> Tensor:
    with torch.inference_mode(False):
        if device != "cpu":
            return _mask(spec, grid, kv_grid, causal, "cpu").to(device)
        (ct, ch, cw), (kt, kh, kw) = centres(grid, kv_grid), centres(kv_grid, kv_grid)
        centre = (ct[:, None, None, None, None, None], ch[:, None, None, None, None], cw[:, None, None, None])
        key = (kt[:, None, None], kh[:, None], kw)
        admitted = spec.admits(centre, key).expand(*grid.shape, *kv_grid.shape).reshape(grid.size, kv_grid.size)
        return admitted.tril() if causal else admitted.contiguous()


@lru_cache(maxsize=CACHED)
def _neighbours(spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool, device: str) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):
        if device != "cpu":
            index, valid = _neighbours(spec, grid, kv_grid, causal, "cpu")
            return index.to(device), valid.to(device)
        admitted = _mask(spec, grid, kv_grid, causal, "cpu")
        count = admitted.sum(1)
        valid = torch.arange(int(count.max()), device="cpu") < count[:, None]
        index = torch.zeros(valid.shape, dtype=torch.int64, device="cpu")
        # Both sides run row by row, so the first keys of a row meet its first places.
        index[valid] = admitted.nonzero()[:, 1]
        return index, valid
