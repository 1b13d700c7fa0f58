"""What attention costs: pairs, operations and bytes of every variant, counted from its definition (Table 7 of the paper).

The paper gives orders of growth: full O(s²), block-sparse O(s²/b) for b blocks, axial O(s (t+h+w)), nearby O(s e_t e_h e_w).
Here the pairs of cells that really meet are counted, borders and causality included, so that a new variant has its cost
without another formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nuwa.attention.masks import check_causal
from nuwa.attention.rows import frames
from nuwa.attention.spec import AttentionSpec
from nuwa.grid import Grid


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of one forward pass of one attention layer, without its projections.

    Attributes:
        pairs: (query, key) pairs of cells that meet, per head and sample.
        flops: floating-point operations of both products, a multiplication and an addition counted as two, as in Dao et
            al. (arXiv 2205.14135); the softmax is left out. A backward pass that takes the scores anew costs 2.5 times as
            many.
        bytes_moved: least traffic with memory: queries, keys and values read once, the result written once.
        bytes_scores: size of the matrix of scores, for a backend that writes all tokens by all tokens.
    """

    pairs: int
    flops: int
    bytes_moved: int
    bytes_scores: int

    @property
    def intensity(self) -> float:
        """Operations per byte moved; a machine whose own ratio is higher waits for its memory."""
        return self.flops / self.bytes_moved


def cost(
    spec: AttentionSpec,
    grid: Grid,
    kv_grid: Grid | None = None,
    causal: bool = False,
    *,
    num_heads: int,
    head_width: int,
    batch: int = 1,
    itemsize: int = 4,
) -> Cost:
    """Cost of attention of ``batch`` samples with ``num_heads`` heads of ``head_width`` numbers of ``itemsize`` bytes.

    ValueError for causal attention between two different grids.

    >>> from nuwa.attention.spec import Full, Nearby3D
    >>> video = Grid(10, 21, 21)
    >>> cost(Full(), video, causal=True, num_heads=20, head_width=64).flops
    49798425600
    >>> cost(Nearby3D(), video, causal=True, num_heads=20, head_width=64).flops
    278010880
    """
    kv_grid = check_causal(grid, kv_grid, causal)
    pairs = count_pairs(spec, grid, kv_grid, causal)
    heads = batch * num_heads
    return Cost(
        pairs=pairs,
        flops=4 * pairs * heads * head_width,
        bytes_moved=2 * (grid.size + kv_grid.size) * heads * head_width * itemsize,
        bytes_scores=grid.size * kv_grid.size * heads * itemsize,
    )


@lru_cache(maxsize=256)
def count_pairs(spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool = False) -> int:
    """Pairs that :func:`nuwa.attention.masks.mask` admits, counted frame by frame, so that a long video fits in memory."""
    return sum(int(np.count_nonzero(admitted.numpy())) for admitted in frames(spec, grid, kv_grid, causal))
