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
from typing import Any

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
        return self.begin(grid) + self._all(tokens, grid)

    def _all(self, tokens: Tensor, grid: Grid) -> Tensor:
        """What all cells (b, s, d) are told by the tokens before them."""
        return self.some(tokens, self.sources_of(grid, torch.arange(grid.size), tokens.device))

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
        super().__init__(grid, num_codes, d, num_sources=len(OFFSETS))

    @staticmethod
    def sources(grid: Grid, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """See :class:`Stem`."""
        return _nearby_sources(grid, str(device))

    def _all(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Every token is mapped for all cells that read it, and the results move there: nothing is held thirteen times."""
        there = [all(abs(step) < length for step, length in zip(o, grid.shape, strict=True)) for o in OFFSETS]
        if not any(there):
            return self.bos.new_zeros(*tokens.shape, len(self.bos))
        first = there.index(True)  # a picture has no earlier frame
        mapped = self.tokens(tokens) @ self.maps[first:].transpose(0, 1).flatten(1)
        moved: Tensor = Moved.apply(mapped, grid, OFFSETS[first:])
        return moved


Offset = tuple[int, int, int]
OFFSETS: tuple[Offset, ...] = tuple(o for o in product((-1, 0, 1), repeat=3) if o < (0, 0, 0))  # type: ignore[misc]
"""From a cell to those that its input is made from, in raster order."""


class Moved(torch.autograd.Function):
    """Sum over offsets of what was made for each: (b, s, m·d) to (b, s, d), summed in float32 at least.

    The cell at ``x`` gets part i of the cell at ``x + offsets[i]``, where that lies on the grid. The backward pass moves the
    other way, and so is a few copies too; that of indexing would add numbers up one after the other.
    """

    @staticmethod
    def forward(ctx: Any, mapped: Tensor, grid: Grid, offsets: tuple[Offset, ...]) -> Tensor:
        """See the class."""
        ctx.grid, ctx.offsets, ctx.dtype = grid, offsets, mapped.dtype
        parts = mapped.unflatten(2, (len(offsets), -1)).unflatten(1, grid.shape)
        wide = torch.promote_types(mapped.dtype, torch.float32)
        out = torch.zeros_like(parts[..., 0, :], dtype=wide, memory_format=torch.contiguous_format)
        for part, offset in enumerate(offsets):
            to, source = _ranges(grid, offset)
            out[to] += parts[..., part, :][source]
        return out.flatten(1, 3)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """See the class."""
        given = gradient.unflatten(1, ctx.grid.shape)
        parts = given.new_zeros(*given.shape[:-1], len(ctx.offsets), given.shape[-1], dtype=ctx.dtype)
        for part, offset in enumerate(ctx.offsets):
            to, source = _ranges(ctx.grid, offset)
            parts[..., part, :][source] = given[to]
        return parts.flatten(1, 3).flatten(2), None, None


def _ranges(grid: Grid, offset: Offset) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The cells (b, t, h, w, …) for which there is a cell at this offset, and those cells."""
    pairs = list(zip(offset, grid.shape, strict=True))
    to = tuple(slice(max(0, -step), min(length, length - step)) for step, length in pairs)
    source = tuple(slice(max(0, step), min(length, length + step)) for step, length in pairs)
    return (slice(None), *to), (slice(None), *source)


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
        offsets = torch.tensor(OFFSETS)
        shape = torch.tensor(grid.shape)
        cells = grid.coordinates()[:, None] + offsets  # (s, 13, 3)
        exists = ((cells >= 0) & (cells < shape)).all(dim=-1)
        index = (cells * torch.tensor([grid.h * grid.w, grid.w, 1])).sum(dim=-1)
        return torch.where(exists, index, 0).to(device), exists.to(device)
