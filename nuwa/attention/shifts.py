"""The three sums over a window that nearby attention is made of, without ever listing tokens against tokens.

For queries x and keys y on two grids and the m offsets of a window: ``dots`` takes x · y at every offset, ``spread`` adds up
weight · y at every query, and ``collect``, its transpose, adds up weight · x at every key. Attention is dots, a softmax and
spread; its gradient is the same three again.

On one grid a shifted neighbour is a slice. Slicing is enough for ``spread`` and ``collect``; ``dots`` multiplies tiles of
consecutive queries with the stretch of keys that they can reach, as matrix products beat sums over short rows, and reads the
wanted diagonals out of the products. Between two grids neighbours are fetched by index. Only admitted pairs enter a sum, so
a NaN stays inside the windows that hold it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from nuwa.attention.masks import CACHED, centres
from nuwa.attention.spec import Nearby3D
from nuwa.grid import Grid

Offset = tuple[int, int, int]
Slices = tuple[slice, ...]


class Window(Protocol):
    """The sums over one window; x has the cells of the queries' grid, y those of the keys' grid, g stands for any batch."""

    def dots(self, x: Tensor, y: Tensor, absent: float) -> Tensor:
        """x · y at every offset: (g, s_q, k), (g, s_kv, k) -> (m, g, s_q), ``absent`` where an offset leaves the grid."""
        ...

    def spread(self, weights: Tensor, y: Tensor) -> Tensor:
        """Sum of weight · y over the offsets: (m, g, s_q), (g, s_kv, k) -> (g, s_q, k)."""
        ...

    def collect(self, weights: Tensor, x: Tensor) -> Tensor:
        """Transpose of :meth:`spread`: (m, g, s_q), (g, s_q, k) -> (g, s_kv, k)."""
        ...


def offsets(spec: Nearby3D, kv_grid: Grid, causal: bool) -> list[Offset]:
    """Offsets (t, h, w) from a centre to the keys it may see somewhere on the grid, in raster order.

    >>> offsets(Nearby3D(extent=(3, 1, 3)), Grid(2, 2, 2), causal=True)
    [(-1, 0, -1), (-1, 0, 0), (-1, 0, 1), (0, 0, -1), (0, 0, 0)]
    """
    t, h, w = (
        range(-reach, reach + 1)
        for reach in (
            length - 1 if width is None else min(width // 2, length - 1)
            for width, length in zip(spec.extent, kv_grid.shape, strict=True)
        )
    )
    return [offset for offset in itertools.product(t, h, w) if not causal or offset <= (0, 0, 0)]


def overlap(grid: Grid, offset: Offset) -> tuple[Slices, Slices]:
    """Slices (t, h, w) of the cells whose neighbour at ``offset`` is on the grid, and of those neighbours."""
    here = tuple(slice(max(0, -d), min(n, n - d)) for n, d in zip(grid.shape, offset, strict=True))
    there = tuple(slice(max(0, d), min(n, n + d)) for n, d in zip(grid.shape, offset, strict=True))
    return here, there


@lru_cache(maxsize=CACHED)
def window(spec: Nearby3D, grid: Grid, kv_grid: Grid, causal: bool, device: str) -> Window:
    """The window of ``spec`` between two grids, with its index tables on ``device``. Cached."""
    steps = offsets(spec, kv_grid, causal)
    with torch.inference_mode(False):
        return Sliced(steps, grid, device) if grid == kv_grid else Gathered(steps, grid, kv_grid, device)


@dataclass(frozen=True)
class _Strip:
    """Offsets whose keys lie close together in raster order: ``length`` keys from ``start`` on serve a tile of queries."""

    start: int
    length: int
    members: Sequence[int]


class Sliced:
    """Neighbours on one grid, as shifted slices of it."""

    def __init__(self, steps: Sequence[Offset], grid: Grid, device: str) -> None:
        _, h, w = self.shape = grid.shape
        self.overlaps = [overlap(grid, offset) for offset in steps]
        self.jumps = [(dt * h + dh) * w + dw for dt, dh, dw in steps]  # an offset as a distance in raster order
        absent = torch.ones(len(steps), *grid.shape, dtype=torch.bool, device=device)
        for row, (here, _) in zip(absent, self.overlaps, strict=True):
            row[here] = False
        self.absent = absent.view(len(steps), 1, grid.size)
        # A tile of whole rows shares the rows above and below with little waste, up to a width where most of it would be
        # waste: then a short tile takes each row of the window by itself. Both bounds are measured on two cores, fp32.
        wide = w > 40
        self.tile = 16 if wide else w * -(-8 // w)
        members = itertools.groupby(range(len(steps)), key=lambda i: steps[i][:2] if wide else steps[i][:1])
        self.strips = [self._strip(list(group)) for _, group in members]

    def _strip(self, members: list[int]) -> _Strip:
        start = min(self.jumps[i] for i in members)
        return _Strip(start, max(self.jumps[i] for i in members) - start + self.tile, members)

    def dots(self, x: Tensor, y: Tensor, absent: float) -> Tensor:
        """As in :class:`Window`."""
        g, s, k = x.shape
        count, tile = g * s, self.tile
        tiles = -(-count // tile)
        before, after = max(0, -min(self.jumps)), max(0, max(self.jumps)) + tiles * tile - count
        x = pad(x.reshape(count, k), (0, 0, 0, tiles * tile - count)).view(tiles, tile, k)
        y = pad(y.reshape(count, k), (0, 0, before, after))
        out = x.new_empty(len(self.jumps), tiles, tile)
        for strip in self.strips:
            keys = y.as_strided((tiles, strip.length, k), (tile * k, k, 1), (before + strip.start) * k)
            products = torch.bmm(x, keys.mT)
            steps = (tile * strip.length, strip.length + 1)
            for i in strip.members:  # query j of a tile meets its neighbour in column j + jump - start: a diagonal
                out[i] = products.as_strided((tiles, tile), steps, self.jumps[i] - strip.start)
        return out.view(-1, tiles * tile)[:, :count].unflatten(1, (g, s)).masked_fill_(self.absent, absent)

    def spread(self, weights: Tensor, y: Tensor) -> Tensor:
        """As in :class:`Window`."""
        y, weights = y.unflatten(1, self.shape), weights.unflatten(2, self.shape).unsqueeze(-1)
        out = torch.zeros_like(y)
        for weight, (here, there) in zip(weights, self.overlaps, strict=True):
            out[:, *here].addcmul_(weight[:, *here], y[:, *there])
        return out.flatten(1, 3)

    def collect(self, weights: Tensor, x: Tensor) -> Tensor:
        """As in :class:`Window`."""
        x, weights = x.unflatten(1, self.shape), weights.unflatten(2, self.shape).unsqueeze(-1)
        out = torch.zeros_like(x)
        for weight, (here, there) in zip(weights, self.overlaps, strict=True):
            out[:, *there].addcmul_(weight[:, *here], x[:, *here])
        return out.flatten(1, 3)


class Gathered:
    """Neighbours between two grids, fetched by index around each query's centre."""

    def __init__(self, steps: Sequence[Offset], grid: Grid, kv_grid: Grid, device: str) -> None:
        self.num_keys = kv_grid.size
        self.places: list[
            tuple[Tensor, Tensor]
        ] = []  # per offset: queries that have such a neighbour, and the neighbours
        t, h, w = torch.meshgrid(*centres(grid, kv_grid), indexing="ij")
        for dt, dh, dw in steps:
            axes = (t + dt, h + dh, w + dw)
            inside = torch.stack([(a >= 0) & (a < n) for a, n in zip(axes, kv_grid.shape, strict=True)]).all(0).view(-1)
            key = ((axes[0] * kv_grid.h + axes[1]) * kv_grid.w + axes[2]).view(-1)
            self.places.append((inside.nonzero().view(-1).to(device), key[inside].to(device)))

    def dots(self, x: Tensor, y: Tensor, absent: float) -> Tensor:
        """As in :class:`Window`."""
        out = x.new_full((len(self.places), *x.shape[:2]), absent)
        for row, (here, there) in zip(out, self.places, strict=True):
            row[:, here] = torch.linalg.vecdot(x[:, here], y[:, there])
        return out

    def spread(self, weights: Tensor, y: Tensor) -> Tensor:
        """As in :class:`Window`."""
        out = y.new_zeros(y.shape[0], weights.shape[2], y.shape[2])
        for weight, (here, there) in zip(weights, self.places, strict=True):
            out[:, here] += weight[:, here, None] * y[:, there]
        return out

    def collect(self, weights: Tensor, x: Tensor) -> Tensor:
        """As in :class:`Window`."""
        out = x.new_zeros(x.shape[0], self.num_keys, x.shape[2])
        for weight, (here, there) in zip(weights, self.places, strict=True):
            out.index_add_(1, there, weight[:, here, None] * x[:, here])  # many queries may share one key
        return out
