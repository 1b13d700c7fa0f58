"""Attention of some cells over cached keys is the same rows of attention over all of them."""

from __future__ import annotations

import pytest
import torch

from nuwa import Grid
from nuwa.attention import AttentionSpec, Full, Nearby3D, attend, mask
from nuwa.sampling.cache import KeyValues, Rows

from .conftest import SPECS

GRID, OTHER = Grid(2, 4, 5), Grid(3, 3, 1)
CELLS = [torch.tensor([0]), torch.tensor([39]), torch.tensor([3, 21, 17]), torch.arange(40)]


def heads(grid: Grid, b: int = 2) -> torch.Tensor:
    return torch.randn(b, 3, grid.size, 4)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kv_grid", [GRID, OTHER], ids=["self", "cross"])
@pytest.mark.parametrize("cells", CELLS, ids=lambda cells: f"{len(cells)} cells")
@pytest.mark.parametrize("spec", [*SPECS, Nearby3D(extent=(1, 3, 1))], ids=str)
def test_rows_of_the_whole(spec: AttentionSpec, cells: torch.Tensor, kv_grid: Grid, padded: bool) -> None:
    q, k, v = heads(GRID), heads(kv_grid), heads(kv_grid)
    causal = kv_grid is GRID
    valid = torch.rand(2, kv_grid.size) > 0.3 if padded else None
    rows = Rows(mask(spec, GRID, kv_grid, causal)[cells])
    whole = attend(q, k, v, spec=spec, grid=GRID, kv_grid=kv_grid, causal=causal, key_mask=valid)
    torch.testing.assert_close(rows.attend(q[:, :, cells], KeyValues.of(k, v, valid)), whole[:, :, cells])


def test_few_keys_are_gathered_and_many_are_masked() -> None:
    assert Rows(mask(Nearby3D(), GRID, causal=True)[39:]).gathers
    assert not Rows(mask(Full(), GRID, causal=True)[39:]).gathers
    assert Rows(mask(Full(), GRID, causal=True)[7:8]).reach == 8  # nothing after the cell is touched


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_keys_may_lie_anywhere(spec: AttentionSpec, padded: bool) -> None:
    q, k, v = heads(GRID), heads(GRID), heads(GRID)
    place, cells = torch.randperm(GRID.size), torch.tensor([3, 21, 17])
    valid = torch.rand(2, GRID.size) > 0.3 if padded else None
    seen = mask(spec, GRID)[cells]
    moved = [x[:, :, place.argsort()] for x in (k, v)]
    moved_valid = None if valid is None else valid[:, place.argsort()]
    found = Rows(seen, place).attend(q[:, :, cells], KeyValues.of(*moved, moved_valid))
    torch.testing.assert_close(found, Rows(seen).attend(q[:, :, cells], KeyValues.of(k, v, valid)))


def test_what_was_written_is_read() -> None:
    cache = KeyValues(torch.zeros(2, GRID.size, 2, 3, 4, dtype=torch.float64))
    k, v = heads(GRID).double(), heads(GRID).double()
    for cells in torch.randperm(GRID.size).split(7):
        cache.write(cells, torch.stack([k, v])[..., cells, :])
    assert torch.equal(cache.k, k)
    assert torch.equal(cache.v, v)
