"""FlexAttention with a block mask made from the definition, for sparse variants on a GPU.

Tiles of 128 queries by 128 keys that hold no admitted pair are skipped. PyTorch has no backward pass for it on a CPU, so
there this backend runs without gradients only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from nuwa.attention import native
from nuwa.attention.backend import TRITON, Backend, Problem
from nuwa.attention.masks import CACHED
from nuwa.attention.spec import AttentionSpec
from nuwa.attention.whole import compile_whole
from nuwa.grid import Grid

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
TILE = 128


def flex(q: Tensor, k: Tensor, v: Tensor, problem: Problem, key_mask: Tensor | None = None) -> Tensor:
    """``flex_attention``, compiled, with a cached block mask, (b, n, s_q, k)."""
    assert key_mask is None
    blocks = block_mask(problem.spec, problem.grid, problem.kv_grid, problem.causal, str(q.device))
    out: Tensor = _compiled()(q, k, v, block_mask=blocks)
    return out


@lru_cache(maxsize=CACHED)
def block_mask(spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool, device: str) -> Any:
    """The ``BlockMask`` of a variant between two grids, of just their lengths. Cached: making one costs more than its use.

    Made row of tiles by row of tiles: PyTorch's ``create_block_mask`` asks for all pairs at once, which at 32,768 tokens are
    a billion, with several int64 numbers for each.
    """
    from torch.nn.attention.flex_attention import BlockMask

    with torch.inference_mode(False):
        rule = mask_mod(spec, grid, kv_grid, causal)
        queries, keys = (torch.arange(g.size, device=device) for g in (grid, kv_grid))
        nothing = queries.new_zeros(())
        counts = []
        for rows in queries.split(TILE):
            admitted = rule(nothing, nothing, rows[:, None], keys).expand(len(rows), -1)
            per_key = pad(admitted.sum(0), (0, -len(keys) % TILE))
            counts.append(per_key.view(-1, TILE).sum(1))
        count = torch.stack(counts)[None, None]  # admitted pairs of every tile
        full = count == TILE * TILE
        made: BlockMask = BlockMask.from_kv_blocks(
            *_listed((count > 0) & ~full),
            *_listed(full),
            BLOCK_SIZE=TILE,
            mask_mod=rule,
            seq_lengths=(len(queries), len(keys)),
        )
        return made


def _listed(tiles: Tensor) -> tuple[Tensor, Tensor]:
    """How many tiles of each row are marked, and all tiles of the row with the marked ones first, both int32."""
    order = tiles.to(torch.int8).argsort(dim=-1, descending=True, stable=True)
    return tiles.sum(-1, dtype=torch.int32), order.to(torch.int32)


def mask_mod(
    spec: AttentionSpec, grid: Grid, kv_grid: Grid, causal: bool
) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """:func:`nuwa.attention.masks.mask` for one pair of raster positions, as arithmetic on the two numbers."""

    def admits(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        there = (key // (kv_grid.h * kv_grid.w), key // kv_grid.w % kv_grid.h, key % kv_grid.w)
        t, h, w = query // (grid.h * grid.w), query // grid.w % grid.h, query % grid.w
        centre = (t * kv_grid.t // grid.t, h * kv_grid.h // grid.h, w * kv_grid.w // grid.w)
        admitted = spec.admits(centre, there)
        return admitted & (key <= query) if causal else admitted

    return admits


@lru_cache(maxsize=1)
def _compiled() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return compile_whole(flex_attention)


def why_not(problem: Problem) -> str | None:
    """None in single or half precision without a key_mask; on a CPU for forward passes only, where there is a compiler."""
    if problem.device != "cuda" and problem.grad:
        return f"FlexAttention has a backward pass on CUDA only, and this is {problem.device}"
    if problem.device == "cuda" and not TRITON:
        return "its kernels are made by Triton, which is not installed"
    if problem.device == "cpu" and not native.compiler():
        return native.NO_COMPILER
    if problem.dtype not in DTYPES:
        return f"FlexAttention takes {', '.join(map(str, DTYPES))}, and this is {problem.dtype}"
    if problem.head_width < 16:
        return f"FlexAttention needs heads of at least 16, and these are {problem.head_width} wide"
    if problem.key_mask:
        return "it takes no key_mask"
    return None


BACKEND = Backend(run=flex, why_not=why_not)
