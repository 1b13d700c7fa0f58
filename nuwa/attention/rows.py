"""The definition as lists: the keys that each query sees, for grids whose mask would not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from nuwa.attention.masks import CACHED, centres
from nuwa.attention.spec import AttentionSpec
from nuwa.grid import Grid


@dataclass(frozen=True)
class Rows:
    """Compressed rows of :func:`nuwa.attention.masks.mask`, on the CPU.

    Attributes:
        first: int64 (s_q + 1,); the keys of query i stand in ``key`` from ``first[i]`` up to ``first[i + 1]``.
        key: int32 (pairs,), ascending within a row.
    """

    first: Tensor
    key: Tensor


def frames(spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool) -> Iterator[Tensor]:
    """The rows of the mask frame by frame: bool (h·w, s_kv) for each frame of the queries' grid."""
    (ct, ch, cw), (kt, kh, kw) = centres(grid, kv_grid), centres(kv_grid, kv_grid)
    queries = (ch[:, None, None, None, None], cw[:, None, None, None])
    keys = (kt[:, None, None], kh[:, None], kw)
    order = torch.arange(kv_grid.size, device="cpu")
    size = grid.h * grid.w
    for t, centre in enumerate(ct):
        admitted = spec.admits((centre, *queries), keys).expand(grid.h, grid.w, *kv_grid.shape).reshape(size, -1)
        yield admitted & (order <= order[t * size : (t + 1) * size, None]) if causal else admitted


@lru_cache(maxsize=CACHED)
def rows(spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool) -> Rows:
    """The lists of a variant between two grids. Cached and shared: do not write into them."""
    with torch.inference_mode(False):
        counts, keys = [], []
        for admitted in frames(spec, grid, kv_grid, causal):
            counts.append(admitted.sum(1))
            keys.append(admitted.nonzero()[:, 1].to(torch.int32))  # row by row, ascending
        first = torch.zeros(grid.size + 1, dtype=torch.int64, device="cpu")
        torch.cumsum(torch.cat(counts), 0, out=first[1:])
        return Rows(first, torch.cat(keys))
