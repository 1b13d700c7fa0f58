"""Places in a cache that holds no more keys than decoding needs: a cell's place is free again after its last reader.

Computed from the order of decoding and from who sees whom, like the schedule. Nearby attention with extent 3 keeps a few
diagonals of a video, decoded one by one little more than one frame, full attention everything.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Slots:
    """Where the keys of each cell lie."""

    of: Tensor  # (s,) int64: the cell's place
    num: int  # places that are ever taken at once


def slots(order: Sequence[Tensor], seen: Tensor) -> Slots:
    """Places for the cells of ``order``, the steps of a schedule.

    Args:
        order: cells (m,) int64 of every step; each cell once.
        seen: bool (s, s), row looks at the keys of column, its own among them.
    """
    last = torch.zeros(len(seen), dtype=torch.int64)
    for step, cells in enumerate(order):
        last[seen[cells].any(dim=0)] = step  # steps rise, so the last one stays
    readers_end = last.tolist()
    leaving: list[list[int]] = [[] for _ in order]
    place = [0] * len(seen)
    free: list[int] = []
    num = 0
    for step, cells in enumerate(order):
        for cell in cells.tolist():
            if free:
                place[cell] = heapq.heappop(free)
            else:
                place[cell], num = num, num + 1
            leaving[readers_end[cell]].append(place[cell])
        for each in leaving[step]:
            heapq.heappush(free, each)
    return Slots(torch.tensor(place), num)
