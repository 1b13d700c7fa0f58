"""Tiles and boxes: together they are the mask, whatever the grid."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nuwa import Grid
from nuwa.attention import Nearby3D, mask, tiles

sides = st.integers(1, 6)
odd = st.sampled_from([1, 3, 5, None])


def seen(spec: Nearby3D, grid: Grid, causal: bool, made: tiles.Tiling, columns: int, mirrored: bool) -> Tensor:
    """Who sees whom as the kernels work it out, number for number, bool (s, s); ``mirrored``: from the keys' side."""
    constants = made.constants()
    reach_, guards = constants["REACH"], constants["GUARDS"]
    jumps, places = made.table(grid, columns, torch.device("cpu")).long()
    found = torch.zeros(grid.size, grid.size, dtype=torch.bool)
    starts = [range(0, length, cells) for length, cells in zip(grid.shape, made.tile, strict=True)]
    for first in itertools.product(*starts):
        before = (0 if causal and mirrored else made.reach[0], *made.reach[1:])
        origin = [
            min(max(f - far, 0), length - cells)
            for f, far, length, cells in zip(first, before, grid.shape, made.box, strict=True)
        ]
        corner = (origin[0] * grid.h + origin[1]) * grid.w + origin[2]
        for offset in itertools.product(*map(range, made.tile)):
            t, h, w = (f + o for f, o in zip(first, offset, strict=True))
            if t >= grid.t or h >= grid.h or w >= grid.w:
                continue
            place = ((t - origin[0]) * constants["FIELD_H"] + h - origin[1]) * constants["FIELD_W"] + w - origin[2]
            ahead = places - place if mirrored else place - places
            outside = ((ahead + reach_) | (reach_ - ahead)) & guards
            near = (outside == 0) & ((ahead >= 0) | (not causal))
            cell = (t * grid.h + h) * grid.w + w
            assert not found[cell].any()
            found[cell, (corner + jumps)[near]] = True
    return found.mT if mirrored else found


@pytest.mark.parametrize("mirrored", [False, True], ids=["queries", "keys"])
@given(
    grid=st.builds(Grid, sides, sides, sides),
    extent=st.tuples(odd, odd, odd),
    causal=st.booleans(),
    rows=st.sampled_from([16, 64]),
)
@settings(max_examples=40)
def test_tiles_and_boxes_are_the_mask(
    mirrored: bool, grid: Grid, extent: tuple[int | None, ...], causal: bool, rows: int
) -> None:
    spec = Nearby3D(extent=extent)
    made = tiles.tiling(grid, tiles.reach(spec, grid), causal, rows, 16)
    assert torch.equal(seen(spec, grid, causal, made, 16, mirrored), mask(spec, grid, causal=causal))


@given(
    grid=st.builds(Grid, st.integers(1, 64), st.integers(1, 64), st.integers(1, 64)),
    extent=st.tuples(odd, odd, odd),
    causal=st.booleans(),
)
def test_a_tile_has_its_rows_and_a_box_stays_inside_the_grid(
    grid: Grid, extent: tuple[int | None, ...], causal: bool
) -> None:
    made = tiles.tiling(grid, tiles.reach(Nearby3D(extent=extent), grid), causal, 64, 64)
    assert made.tile[0] * made.tile[1] * made.tile[2] == 64
    assert all(1 <= cells <= length for cells, length in zip(made.box, grid.shape, strict=True))
    assert made.count(grid) * 64 >= grid.size
    constants = made.constants()
    assert constants["GUARDS"] < 2**made.bits
    jumps, _ = made.table(grid, 64, torch.device("cpu"))
    assert int(jumps.max()) < grid.size


@pytest.mark.parametrize(("grid", "bits"), [(Grid(10, 32, 32), 18), (Grid(64, 128, 128), 16)], ids=str)
def test_a_window_of_three_takes_few_bits(grid: Grid, bits: int) -> None:
    assert tiles.tiling(grid, (1, 1, 1), True, 64, 64).bits <= bits
