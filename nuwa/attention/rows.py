"""The definition as lists: the keys that each query sees, for grids whose mask would not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
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
    """The rows of the mask frame by frame: bool (h·w, keys) for each frame of the queries' grid.

    The keys are all of the keys' grid, or those up to the end of the frame where ``causal``.
    """
    (ct, ch, cw), (kt, kh, kw) = centres(grid, kv_grid), centres(kv_grid, kv_grid)
    queries = (ch[:, None, None, None, None], cw[:, None, None, None])
    size = grid.h * grid.w
    earlier = torch.ones(size, size, dtype=torch.bool, device="cpu").tril()
    for t, centre in enumerate(ct):
        frames = kt[: t + 1] if causal else kt
        admitted = spec.admits((centre, *queries), (frames[:, None, None], kh[:, None], kw))
        admitted = admitted.expand(grid.h, grid.w, len(frames), kv_grid.h, kv_grid.w).reshape(size, -1).contiguous()
        if causal:
            admitted[:, t * size :] &= earlier
        yield admitted


@lru_cache(maxsize=CACHED)
def rows(spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool) -> Rows:
    """The lists of a variant between two grids. Cached and shared: do not write into them."""
    counts, keys = [], []
    for admitted in frames(spec, grid, kv_grid, causal):
        query, key = np.divmod(np.flatnonzero(admitted.numpy()), admitted.shape[1])  # ascending; faster than nonzero()
        counts.append(np.bincount(query, minlength=len(admitted)))
        keys.append(key.astype(np.int32))
    first = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    with torch.inference_mode(False):
        return Rows(torch.from_numpy(first), torch.from_numpy(np.concatenate(keys)))
