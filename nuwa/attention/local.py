"""Nearby attention as a sum over the offsets of its window: linear in tokens, in plain PyTorch.

For every admitted offset (27 of them for a 3x3x3 window, 14 when causal) keys and values are read through a shifted
slice of the grid, so no neighbour is ever copied and no matrix of tokens by tokens exists.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from nuwa.attention.backend import BACKENDS, Backend, Problem
from nuwa.attention.masks import centres
from nuwa.attention.spec import Nearby3D
from nuwa.grid import Grid

Offset = tuple[int, int, int]


def offsets(spec: Nearby3D, kv_grid: Grid, causal: bool) -> list[Offset]:
    """Offsets (t, h, w) from a centre to the keys it may see somewhere on the grid, in raster order.

    >>> offsets(Nearby3D(extent=(3, 1, 3)), Grid(2, 2, 2), causal=True)
    [(-1, 0, -1), (-1, 0, 0), (-1, 0, 1), (0, 0, -1), (0, 0, 0)]
    """
    reach = [
        length - 1 if width is None else min(width // 2, length - 1)
        for width, length in zip(spec.extent, kv_grid.shape, strict=True)
    ]
    t, h, w = (range(-r, r + 1) for r in reach)
    return [
        offset for offset in itertools.product(t, h, w) if not causal or offset <= (0, 0, 0)
    ]  # tuples compare in raster order


def local(q: Tensor, k: Tensor, v: Tensor, problem: Problem, key_mask: Tensor | None = None) -> Tensor:
    """Nearby attention, (b, n, s_q, k), summed over the offsets of the window."""
    assert isinstance(problem.spec, Nearby3D)
    assert key_mask is None
    steps = offsets(problem.spec, problem.kv_grid, problem.causal)
    if problem.grid != problem.kv_grid:
        return _gathered(q, k, v, problem, steps)
    grid = problem.grid.shape
    b, n, s, width = q.shape
    q, k, v = (x.reshape(b * n, *grid, width) for x in (q, k, v))
    scores = q.new_full((len(steps), b * n, *grid), float("-inf"))
    for i, offset in enumerate(steps):
        here, there = _overlap(grid, offset)
        scores[i][here] = (q[here] * k[there]).sum(-1)
    weights = (scores * problem.scale).softmax(0)
    out = torch.zeros_like(q)
    for row, offset in zip(weights, steps, strict=True):
        here, there = _overlap(grid, offset)
        out[here] += row[here][..., None] * v[there]
    return out.reshape(b, n, s, width)


def _overlap(grid: tuple[int, int, int], offset: Offset) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the grid and its copy shifted by ``offset`` overlap: slices of the queries and of the keys they meet."""
    here = tuple(slice(max(0, -d), min(n, n - d)) for n, d in zip(grid, offset, strict=True))
    there = tuple(slice(max(0, d), min(n, n + d)) for n, d in zip(grid, offset, strict=True))
    return (slice(None), *here), (slice(None), *there)


def _gathered(q: Tensor, k: Tensor, v: Tensor, problem: Problem, steps: list[Offset]) -> Tensor:
    """Cross attention between unequal grids: one key per query and offset is fetched by its index."""
    found = []
    for offset in steps:
        axes = [c + d for c, d in zip(centres(problem.grid, problem.kv_grid), offset, strict=True)]
        inside = [(a >= 0) & (a < n) for a, n in zip(axes, problem.kv_grid.shape, strict=True)]
        _, h, w = problem.kv_grid.shape
        t_index, h_index, w_index = torch.meshgrid(*axes, indexing="ij")
        valid = torch.meshgrid(*inside, indexing="ij")
        index = (t_index * h + h_index) * w + w_index
        admitted = (valid[0] & valid[1] & valid[2]).reshape(-1)
        found.append((index.reshape(-1).where(admitted, 0).to(q.device), admitted.to(q.device)))
    scores = torch.stack(
        [(q * k[:, :, index]).sum(-1).masked_fill(~admitted, float("-inf")) for index, admitted in found]
    )
    weights = (scores * problem.scale).softmax(0)
    out = torch.zeros_like(q)
    for row, (index, _) in zip(weights, found, strict=True):
        out = out + row[..., None] * v[:, :, index]
    return out


def _why_not(problem: Problem) -> str | None:
    if not isinstance(problem.spec, Nearby3D):
        return f"it computes nearby3d only, and the spec is {problem.spec}"
    if problem.key_mask:
        return "it takes no key_mask"
    return None


BACKENDS.add("local", Backend(run=local, why_not=_why_not))
