"""Everything about decoding that does not depend on the numbers: which cells when, whom they see, where their keys lie.

A plan is a function of the model's grid, stem and attention and of which cells are given, so it is made once and kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nuwa.attention import AttentionSpec, mask
from nuwa.grid import Grid
from nuwa.model.nuwa import Decoder
from nuwa.model.stem import STEMS, Sources
from nuwa.sampling.cache import Rows
from nuwa.sampling.schedule import schedule
from nuwa.sampling.slots import slots


@dataclass(frozen=True, eq=False)
class Seen:
    """How one attention variant goes through the steps."""

    places: list[Tensor]  # of every step, (m,) int64: where the keys of its cells are written
    rows: list[Rows]  # of every step: whom its cells see in the cache
    num_places: int  # size of the cache


@dataclass(frozen=True, eq=False)
class Plan:
    """The steps of decoding, each a set of cells that are computed together."""

    grid: Grid
    order: list[Tensor]  # cells (m,) int64 of every step, on the CPU
    cells: list[Tensor]  # the same on the device
    drawn: list[Tensor]  # those of them that are to be drawn, on the device
    new: list[Tensor | None]  # where these stand among the step's cells, int64; None where they are all of them
    sources: list[Sources]  # of the stem, for every step
    own: dict[AttentionSpec, Seen]  # self-attention, for each variant in use
    device: str
    dtype: torch.dtype  # of the cache
    _across: dict[tuple[AttentionSpec, Grid], list[Rows]] = field(default_factory=dict)

    def across(self, spec: AttentionSpec, kv_grid: Grid) -> list[Rows]:
        """Rows of cross-attention to a condition on ``kv_grid`` for every step; made once."""
        if (spec, kv_grid) not in self._across:
            with torch.inference_mode(False):
                seen = mask(spec, self.grid, kv_grid)
                self._across[spec, kv_grid] = [
                    Rows(seen[cells], device=self.device, dtype=self.dtype) for cells in self.order
                ]
        return self._across[spec, kv_grid]


def plan(decoder: Decoder, *, grid: Grid | None = None, known: Tensor | None = None, one_by_one: bool = False) -> Plan:
    """The plan of a decoder on ``grid`` (its largest where None), where the tokens of the cells ``known`` (s,) bool are given.

    ValueError for a grid that does not fit into the largest.
    """
    config = decoder.config
    grid = grid or config.grid
    grid.check_within(config.grid, "plan")
    known_bytes = None if known is None else known.cpu().numpy().tobytes()
    variants = tuple(dict.fromkeys(config.decoder_specs))
    weight = decoder.head.weight
    return _plan(config.stem, variants, grid, known_bytes, one_by_one, str(weight.device), weight.dtype)


@lru_cache(maxsize=8)
def _plan(
    stem: str,
    variants: tuple[AttentionSpec, ...],
    grid: Grid,
    known_bytes: bytes | None,
    one_by_one: bool,
    device: str,
    dtype: torch.dtype,
) -> Plan:
    with torch.inference_mode(False):
        known = None if known_bytes is None else torch.from_numpy(np.frombuffer(known_bytes, dtype=bool).copy())
        masks = {spec: mask(spec, grid, causal=True) for spec in variants}
        if one_by_one:
            order = list(torch.arange(grid.size)[:, None])
        else:
            order = schedule(STEMS[stem].reads(grid), masks.values(), known)
        given = torch.zeros(grid.size, dtype=torch.bool) if known is None else known
        new = [(~given[cells]).nonzero().flatten() for cells in order]
        return Plan(
            grid=grid,
            order=order,
            cells=[cells.to(device) for cells in order],
            drawn=[cells[each].to(device) for cells, each in zip(order, new, strict=True)],
            new=[None if len(each) == len(cells) else each.to(device) for cells, each in zip(order, new, strict=True)],
            sources=[STEMS[stem].sources_of(grid, cells, device) for cells in order],
            own={spec: _self(order, seen, device, dtype) for spec, seen in masks.items()},
            device=device,
            dtype=dtype,
        )


def _self(order: list[Tensor], seen: Tensor, device: str, dtype: torch.dtype) -> Seen:
    placed = slots(order, seen)
    return Seen(
        places=[placed.of[cells].to(device) for cells in order],
        rows=[Rows(seen[cells], placed.of, device=device, dtype=dtype) for cells in order],
        num_places=placed.num,
    )
