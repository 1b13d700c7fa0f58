"""The schedule: every cell once, none before what it depends on, none later than it must be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from nuwa import Grid
from nuwa.attention import AttentionSpec, Axial3D, Block3D, Full, Nearby3D, mask
from nuwa.model.stem import NearbyStem, RasterStem
from nuwa.sampling import schedule

PAPER_VIDEO, PAPER_IMAGE = Grid(10, 21, 21), Grid(1, 21, 21)


def rounds(stem: np.ndarray, attention: np.ndarray, known: np.ndarray) -> list[list[int]]:
    """Simulated: in every round all cells are computed whose tokens to read are there and whose states to see are too.

    Cells of one round may see each other's states, so the round shrinks until nothing in it lacks anything.
    """
    size, drawn, done, out = len(stem), known.copy(), np.zeros(len(stem), dtype=bool), []
    while not done.all():
        now = ~done & ~(stem & ~drawn).any(axis=1)
        while (lacking := now & (attention & ~(done | now)).any(axis=1)).any():
            now &= ~lacking
        done |= now
        drawn |= now
        out.append(np.arange(size)[now].tolist())
    return out


def masks(size: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(bool, (size, size)).map(lambda table: np.tril(table, -1))


@given(st.data(), st.integers(1, 9))
def test_any_dependencies_as_simulated(data: st.DataObject, size: int) -> None:
    stem, one, other = (data.draw(masks(size)) for _ in range(3))
    known = data.draw(arrays(bool, size))
    layers = [torch.from_numpy(each | np.eye(size, dtype=bool)) for each in (one, other)]
    found = schedule(torch.from_numpy(stem), layers, torch.from_numpy(known))
    assert [cells.tolist() for cells in found] == rounds(stem, one | other, known)
    assert sorted(torch.cat(found).tolist()) == list(range(size))


def steps(
    grid: Grid,
    spec: AttentionSpec = Nearby3D(),
    stem: type[NearbyStem] | type[RasterStem] = NearbyStem,
    known: Tensor | None = None,
) -> list[Tensor]:
    return schedule(stem.reads(grid), [mask(spec, grid, causal=True)], known)


@pytest.mark.parametrize(("grid", "num"), [(PAPER_VIDEO, 97), (PAPER_IMAGE, 61), (Grid(1, 8, 8), 22)], ids=str)
def test_nearby_takes_few_steps(grid: Grid, num: int) -> None:
    found = steps(grid)
    assert len(found) == num
    assert torch.equal(torch.cat(found).sort().values, torch.arange(grid.size))


@pytest.mark.parametrize("grid", [Grid(3, 9, 8), Grid(1, 7, 11), Grid(4, 1, 8), Grid(3, 8, 8)], ids=str)
@pytest.mark.parametrize("radius", [0, 1, 2, 3])
def test_nearby_in_closed_form(grid: Grid, radius: int) -> None:
    """A row waits for the tokens one column further in the row above, and for states ``radius`` columns further."""
    row = max(2, radius)
    frame = max((row if grid.h > 1 else 0) + 2, radius * (row if grid.h > 1 else 0) + radius)
    width = 2 * radius + 1
    found = steps(grid, Nearby3D(extent=(width, width, width)))
    assert len(found) == grid.w + row * (grid.h - 1) + frame * (grid.t - 1)


@pytest.mark.parametrize(
    ("spec", "num"), [(Full(), 421), (Axial3D(), 61), (Block3D(block=(1, 7, 7)), 133), (Nearby3D(extent=(7, 7, 7)), 81)]
)
def test_other_variants_on_the_papers_image(spec: AttentionSpec, num: int) -> None:
    """Full attention gains next to nothing, axial lines end before the stem does."""
    assert len(steps(PAPER_IMAGE, spec)) == num


def test_the_raster_stem_allows_no_two_at_once() -> None:
    assert [cells.tolist() for cells in steps(Grid(2, 3, 2), stem=RasterStem)] == [[cell] for cell in range(12)]


def test_what_is_given_falls_into_the_first_step() -> None:
    """The prefill: given frames, with all of the next frame that reads given tokens alone."""
    grid = Grid(3, 4, 5)
    known = torch.arange(grid.size) < 40  # two frames
    first, *others = steps(grid, known=known)
    assert set(range(41)) <= set(first.tolist())
    assert len(others) == len(steps(Grid(1, 4, 5))) - 1
    assert len(steps(grid, known=torch.ones(grid.size, dtype=torch.bool))) == 1


def test_a_mixture_of_layers_waits_for_all_of_them() -> None:
    grid = Grid(2, 5, 6)
    stem = NearbyStem.reads(grid)
    one, other = (mask(spec, grid, causal=True) for spec in (Axial3D(), Nearby3D(extent=(1, 5, 5))))
    both = [cells.tolist() for cells in schedule(stem, [one, other])]
    assert both == [cells.tolist() for cells in schedule(stem, [one | other])]
    assert len(both) >= max(len(schedule(stem, [one])), len(schedule(stem, [other])))
