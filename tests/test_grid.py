"""The grid: raster order is the order of nested loops, and a tensor of another length is refused."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nuwa import Grid

grids = st.builds(Grid, *(st.integers(1, 7) for _ in "thw"))


@given(grids)
def test_raster_order_is_that_of_nested_loops(grid: Grid) -> None:
    expected = list(itertools.product(range(grid.t), range(grid.h), range(grid.w)))
    assert [tuple(cell) for cell in grid.coordinates().tolist()] == expected
    assert len(expected) == grid.size


@given(grids)
def test_raster_order_is_that_of_a_contiguous_tensor(grid: Grid) -> None:
    table = torch.arange(grid.size).view(grid.shape)
    t, h, w = grid.coordinates().unbind(-1)
    assert torch.equal(table[t, h, w], torch.arange(grid.size))


@given(grids, st.integers(0, 400))
def test_check_takes_its_own_size_alone(grid: Grid, length: int) -> None:
    if length == grid.size:
        grid.check(length)
    else:
        with pytest.raises(ValueError, match=rf"words: grid {grid} has {grid.size} cells, got {length}; pass the grid"):
            grid.check(length, "words")


@given(grids, grids)
def test_equal_grids_are_one_key(one: Grid, other: Grid) -> None:
    assert (one == other) == (one.shape == other.shape)
    assert (one < other) == (one.shape < other.shape)
    assert len({one, Grid(*one.shape)}) == 1


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((0, 1, 1), "grid axis t: expected a whole number >= 1, got 0"),
        ((1, -2, 1), "grid axis h: expected a whole number >= 1, got -2"),
        ((1, 1, 1.5), "grid axis w: expected a whole number >= 1, got 1.5"),
        ((1, "3", 1), "grid axis h: expected a whole number >= 1, got '3'"),
    ],
)
def test_axes_are_whole_and_positive(shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Grid(*shape)
