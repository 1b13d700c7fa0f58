"""Nearby attention on one grid as small dense products: a tile of cells, and the box of cells that its windows reach.

The queries of a tile of 2x4x8 cells with a window of 3x3x3 see the 4x6x10 cells around them, 3x6x10 when causal. A kernel
takes the products of all queries of a tile with all keys of its box and masks what a window does not admit, so what a tile
shares is read once. At the border the box is moved inside the grid, so that each of its cells exists.

Whether a cell is in a window is one subtraction: the coordinates of a cell in its box are packed into one number, a field of
bits for each axis with a guard bit on top, which a difference that is negative or too large sets.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from nuwa.attention.spec import Nearby3D
from nuwa.grid import Grid

Reach = tuple[int, int, int]
"""Cells that a window goes to each side along (frames, rows, columns)."""

MOST_BITS = 31
"""Bits of the three fields: the numbers are 32 bits wide, and the sign is one of them."""


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Sizes of a kernel's work, which move its time and not its result.

    Attributes:
        rows: cells of a tile, a power of two from 16 on.
        columns: cells of a box that are worked on at a time, a power of two from 16 on.
        warps: groups of 32 threads that share a tile.
        stages: blocks of columns that are worked on or on their way from memory at a time.
        registers: most numbers that a thread may hold, so that more programs fit; None for as many as the compiler likes.
    """

    rows: int
    columns: int
    warps: int
    stages: int = 1
    registers: int | None = None


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """Tiles of a grid, each extent as (frames, rows, columns) of cells.

    Attributes:
        reach: how far a window goes to each side.
        tile: cells of a tile; its product is the kernel's number of rows.
        box: cells of a box.
    """

    reach: Reach
    tile: tuple[int, int, int]
    box: tuple[int, int, int]

    @property
    def halves(self) -> tuple[int, int, int]:
        """The guard bit of each axis inside its field: above every difference, and above twice the reach less it."""
        t, h, w = (
            1 << (tile + box + 2 * reach).bit_length()
            for tile, box, reach in zip(self.tile, self.box, self.reach, strict=True)
        )
        return t, h, w

    @property
    def bits(self) -> int:
        """Bits of the three fields; a kernel has :data:`MOST_BITS`."""
        return sum(half.bit_length() for half in self.halves)

    def count(self, grid: Grid) -> int:
        """How many tiles cover ``grid``."""
        return math.prod(-(-length // cells) for length, cells in zip(grid.shape, self.tile, strict=True))

    def constants(self) -> dict[str, int]:
        """The constants of the kernels."""
        (tt, th, tw), (bt, bh, bw), (rt, rh, rw) = self.tile, self.box, self.reach
        half_t, half_h, half_w = self.halves
        field_h, field_w = 2 * half_h, 2 * half_w
        return {
            **{"TT": tt, "TH": th, "TW": tw, "BT": bt, "BH": bh, "BW": bw, "RT": rt, "RH": rh, "RW": rw},
            **{"FIELD_H": field_h, "FIELD_W": field_w},
            "REACH": (rt * field_h + rh) * field_w + rw,
            "GUARDS": (half_t * field_h + half_h) * field_w + half_w,
        }

    def table(self, grid: Grid, columns: int, device: torch.device) -> Tensor:
        """The cells of a box in raster order, int32 (2, cells + ``columns``): distances from its first, and places.

        What follows the last cell stands in no window, and in the place of the first, so that it can be read.
        """
        half_t, half_h, half_w = self.halves
        t, h, w = (torch.arange(cells, device="cpu") for cells in self.box)
        t, h = t[:, None, None], h[:, None]
        jumps, places = ((t * high + h) * wide + w for high, wide in ((grid.h, grid.w), (2 * half_h, 2 * half_w)))
        far = (half_t - 1) * 2 * half_h * 2 * half_w
        padded = [pad(x.flatten(), (0, columns), value=value) for x, value in ((jumps, 0), (places, far))]
        return torch.stack(padded).to(device, torch.int32)


def reach(spec: Nearby3D, grid: Grid) -> Reach:
    """How many cells a window goes to each side along (frames, rows, columns), at most to the end of the grid.

    >>> reach(Nearby3D(extent=(3, None, 7)), Grid(4, 5, 3))
    (1, 4, 2)
    """
    t, h, w = (
        length - 1 if width is None else min(width // 2, length - 1)
        for width, length in zip(spec.extent, grid.shape, strict=True)
    )
    return t, h, w


@lru_cache(maxsize=256)
def tiling(grid: Grid, reaches: Reach, causal: bool, rows: int, columns: int) -> Tiling:
    """The tiles of ``rows`` cells that leave the kernels least to do, the same for every run.

    What counts is the number of blocks of ``columns`` that all tiles together go through, and then what they read. Causal
    boxes end with the frame of the tile.

    >>> tiling(Grid(32, 32, 32), (1, 1, 1), True, 64, 64)
    Tiling(reach=(1, 1, 1), tile=(2, 4, 8), box=(3, 6, 10))
    """

    def work(made: Tiling) -> tuple[int, int, int]:
        tiles, size = made.count(grid), math.prod(made.box)
        return tiles * -(-size // columns), tiles * size, -made.tile[2]  # equal ones: the longest runs in memory

    return min((_tiling(grid, reaches, causal, tile) for tile in _tiles(rows)), key=work)


def _tiling(grid: Grid, reaches: Reach, causal: bool, tile: tuple[int, int, int]) -> Tiling:
    sides = (1 if causal else 2, 2, 2)
    t, h, w = (
        min(cells + side * far, length)
        for cells, side, far, length in zip(tile, sides, reaches, grid.shape, strict=True)
    )
    return Tiling(reach=reaches, tile=tile, box=(t, h, w))


def _tiles(rows: int) -> Iterator[tuple[int, int, int]]:
    powers = [2**i for i in range(rows.bit_length())]
    for t, h in itertools.product(powers, powers):
        if t * h <= rows:
            yield t, h, rows // (t * h)
