"""The decoder's input at a cell: what is already known around it, and not the cell itself.

The query stands on the cell it predicts. ``NearbyStem`` is a masked ("type A", PixelCNN, arXiv 1606.05328) convolution over
the embedded token grid that sees the causal 3×3×3 neighbours; no token's content is lost, every layer stays local, and
cells can be decoded along diagonals. ``RasterStem`` is the usual shift: the input is the previous token in raster order.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor, nn

from nuwa.grid import Grid
from nuwa.registry import Registry


@dataclass(frozen=True, eq=False)
class Sources:
    """The earlier cells that feed some cells, looked up once and read again and again."""

    index: Tensor  # (m, j) int64
    exists: Tensor  # (m, j, 1) bool
    first: int  # of the stem's maps; those before it lead out of the grid for all of these cells


class Stem(nn.Module, abc.ABC):
    """Sum over a fixed list of earlier cells, one linear map each, of their token embeddings; ``<bos>`` without a past."""

    def __init__(self, grid: Grid, num_codes: int, d: int, num_sources: int) -> None:
        super().__init__()
        self.grid = grid
        self.tokens = nn.Embedding(num_codes, d)
        self.maps = nn.Parameter(torch.randn(num_sources, d, d) * d**-0.5)
        self.bos = nn.Parameter(torch.randn(d) * 0.5)
        nn.init.normal_(self.tokens.weight, std=0.5)

    @staticmethod
    @abc.abstractmethod
    def sources(grid: Grid, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Earlier cells that feed each cell: indices (s, m) int64 and whether they exist (s, m) bool."""

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Inputs (b, s, d) of all cells from tokens (b, s) int64 on ``grid``.

        ValueError for a grid that does not fit into the largest.
        """
        out = self.begin(grid).expand(tokens.shape[0], -1, -1)
        index, exists = self.sources(grid, tokens.device)
        embedded = self.tokens(tokens)
        for source in range(index.shape[1]):  # one after another: all at once would hold every token thirteen times
            if bool(exists[:, source].any()):  # a picture has no earlier frame
                neighbour = embedded[:, index[:, source]] * exists[:, source, None]
                out = out + neighbour @ self.maps[source]
        return out

    def begin(self, grid: Grid) -> Tensor:
        """``<bos>`` where a cell of ``grid`` has no source, otherwise 0: (s, d). ValueError as for :meth:`forward`."""
        grid.check_within(self.grid, "stem")
        return self.bos * ~self.sources(grid, self.bos.device)[1].any(dim=1, keepdim=True)

    def some(self, tokens: Tensor, sources: Sources) -> Tensor:
        """What a few cells (b, m, d) are told by tokens (b, s) int64, in one product; decoding adds :meth:`begin`.

        Tokens that are no source are not read, so they may hold anything that is a valid code.
        """
        neighbours = self.tokens(tokens[:, sources.index]) * sources.exists
        return neighbours.flatten(2) @ self.maps[sources.first :].flatten(0, 1)

    @classmethod
    def sources_of(cls, grid: Grid, cells: Tensor, device: torch.device | str) -> Sources:
        """The sources of some cells (m,) int64 of ``grid``."""
        index, exists = (each[cells] for each in cls.sources(grid, "cpu"))
        used = exists.any(dim=0).nonzero().flatten().tolist()
        first = used[0] if used else exists.shape[1]  # sources of the frame before come first, and a picture has none
        return Sources(index[:, first:].to(device), exists[:, first:, None].to(device), first)

    @classmethod
    def reads(cls, grid: Grid) -> Tensor:
        """Bool (s, s): the row's input is made from the column's token."""
        index, exists = cls.sources(grid, "cpu")
        admitted = torch.zeros(grid.size, grid.size, dtype=torch.bool)
        rows = torch.arange(grid.size)[:, None].expand_as(index)
        admitted[rows[exists], index[exists]] = True
        return admitted


class NearbyStem(Stem):
    """The causal half of the 3×3×3 window: 13 cells at most, 4 of them in the own frame."""

    def __init__(self, grid: Grid, num_codes: int, d: int) -> None:
        super().__init__(grid, num_codes, d, num_sources=13)

    @staticmethod
    def sources(grid: Grid, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """See :class:`Stem`."""
        return _nearby_sources(grid, str(device))


class RasterStem(Stem):
    """The previous token in raster order."""

    def __init__(self, grid: Grid, num_codes: int, d: int) -> None:
        super().__init__(grid, num_codes, d, num_sources=1)

    @staticmethod
    def sources(grid: Grid, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """See :class:`Stem`."""
        before = torch.arange(grid.size, device=device)[:, None] - 1
        return before.clamp_min(0), before >= 0


STEMS: Registry[type[NearbyStem] | type[RasterStem]] = Registry("stem")
STEMS.add("nearby", NearbyStem)
STEMS.add("raster", RasterStem)


@lru_cache(maxsize=16)
def _nearby_sources(grid: Grid, device: str) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):
        offsets = torch.tensor([o for o in product((-1, 0, 1), repeat=3) if o < (0, 0, 0)])
        shape = torch.tensor(grid.shape)
        cells = grid.coordinates()[:, None] + offsets  # (s, 13, 3)
        exists = ((cells >= 0) & (cells < shape)).all(dim=-1)
        index = (cells * torch.tensor([grid.h * grid.w, grid.w, 1])).sum(dim=-1)
        return torch.where(exists, index, 0).to(device), exists.to(device)
