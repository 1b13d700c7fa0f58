"""Tokens plus one learned position table per axis (paper, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nuwa.grid import Grid


class Positions(nn.Module):
    """Three learned tables, for frames, rows and columns, whose entries are added."""

    def __init__(self, grid: Grid, d: int) -> None:
        super().__init__()
        self.grid = grid
        self.tables = nn.ParameterList(nn.Parameter(0.2 * torch.randn(length, d)) for length in grid.shape)

    def forward(self, grid: Grid) -> Tensor:
        """Positions (s, d) of all cells of ``grid`` in raster order.

        ValueError for a grid that does not fit into the one the tables were made for.
        """
        grid.check_within(self.grid, "positions")
        coordinates = grid.coordinates(self.tables[0].device)
        t, h, w = (table[coordinates[:, axis]] for axis, table in enumerate(self.tables))
        return t + h + w


class GridEmbedding(nn.Module):
    """Tokens of a condition (b, s) int64 to vectors (b, s, d)."""

    def __init__(self, grid: Grid, num_tokens: int, d: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(num_tokens, d)
        self.positions = Positions(grid, d)
        nn.init.normal_(self.tokens.weight, std=0.2)

    def forward(self, ids: Tensor, grid: Grid) -> Tensor:
        """Vectors (b, s, d) of tokens (b, s) int64 on any grid that fits into the largest."""
        return self.tokens(ids) + self.positions(grid)
