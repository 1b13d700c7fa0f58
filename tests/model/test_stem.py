"""The decoder's input: a masked convolution over the tokens that are known already."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nuwa import Grid
from nuwa.model.stem import STEMS, NearbyStem, RasterStem

GRIDS = [Grid(1, 3, 5), Grid(3, 4, 2), Grid(4, 1, 1), Grid(1, 1, 1)]
V, D = 7, 6


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_nearby_is_a_masked_convolution(grid: Grid) -> None:
    """PyTorch's own convolution with a kernel that is zero from the middle on."""
    stem = NearbyStem(grid, V, D)
    tokens = torch.randint(V, (2, grid.size))
    kernel = torch.zeros(27, D, D)
    kernel[:13] = stem.maps.transpose(1, 2)
    kernel = kernel.permute(1, 2, 0).unflatten(2, (3, 3, 3))
    embedded = stem.tokens(tokens).transpose(1, 2).unflatten(2, grid.shape)
    expected = F.conv3d(embedded, kernel, padding=1).flatten(2).transpose(1, 2).clone()
    expected[:, 0] = stem.bos  # the only cell without a past
    torch.testing.assert_close(stem(tokens, grid), expected)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_raster_is_the_token_before(grid: Grid) -> None:
    stem = RasterStem(grid, V, D)
    tokens = torch.randint(V, (2, grid.size))
    out = stem(tokens, grid)
    torch.testing.assert_close(out[:, 1:], stem.tokens(tokens)[:, :-1] @ stem.maps[0])
    torch.testing.assert_close(out[:, 0], stem.bos.expand(2, -1))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("name", STEMS)
def test_some_cells_are_cells_of_the_whole(name: str, grid: Grid) -> None:
    stem = STEMS[name](grid, V, D)
    tokens = torch.randint(V, (2, grid.size))
    cells = torch.randperm(grid.size)[: grid.size // 2 + 1]
    read = stem.sources_of(grid, cells, "cpu")
    found = stem.begin(grid)[cells] + stem.some(tokens, read)
    torch.testing.assert_close(found, stem(tokens, grid)[:, cells])
    assert read.exists[:, :1].any() or read.exists.numel() == 0  # what no cell has is not computed


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("name", STEMS)
def test_dependencies_are_its_sources_and_earlier(name: str, grid: Grid) -> None:
    stem = STEMS[name](grid, V, D)
    admitted = stem.reads(stem.grid)
    assert not admitted.triu().any()
    index, exists = stem.sources(stem.grid, "cpu")
    for cell in range(grid.size):
        assert torch.nonzero(admitted[cell]).flatten().tolist() == sorted(index[cell][exists[cell]].tolist())


def test_nearby_sees_thirteen_cells_four_of_them_in_its_frame() -> None:
    admitted = NearbyStem.reads(Grid(3, 3, 3))[13].nonzero().flatten()
    assert admitted.tolist() == list(range(13))
    assert (admitted >= 9).sum() == 4


@pytest.mark.parametrize("name", STEMS)
def test_tables_made_while_sampling_serve_training_later(name: str) -> None:
    grid = Grid(1, 2, 61)  # a grid that no other test has put into the cache
    with torch.inference_mode():
        STEMS[name](grid, V, D)(torch.zeros(1, grid.size, dtype=torch.int64), grid)
    stem = STEMS[name](grid, V, D)
    stem(torch.zeros(1, grid.size, dtype=torch.int64), grid).sum().backward()
    assert stem.maps.grad is not None
