"""Scenes as a 3×3 board: what stands at each of the nine places, the truth that the image judge is held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nuwa.data.sprites import Scenes, world

EMPTY = 0
"""Index of "nothing stands here" among the shapes of a place; shape i of the world is i + 1."""

ABSENT = -1
"""Colour and size of a place where nothing stands; ``ignore_index`` of their losses."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """b boards; places in raster order, all int64."""

    shape: Tensor
    """(b, 9) in 0…6, 0 where nothing stands."""
    colour: Tensor
    """(b, 9) in 0…7, -1 where nothing stands."""
    size: Tensor
    """(b, 9) in 0…2, -1 where nothing stands."""
    background: Tensor
    """(b,) in 0…3."""

    def __len__(self) -> int:
        return len(self.background)

    def __getitem__(self, rows: slice | Tensor) -> Board:
        return Board(**{name: value[rows] for name, value in vars(self).items()})

    def to(self, device: torch.device | str) -> Board:
        """The same boards on ``device``."""
        return Board(**{name: value.to(device) for name, value in vars(self).items()})


def board(scenes: Scenes) -> Board:
    """What stands where in ``scenes``."""
    places = (len(scenes), len(world.PLACES))
    shape, colour, size = np.full(places, EMPTY), np.full(places, ABSENT), np.full(places, ABSENT)
    row, slot = np.nonzero(scenes.shape >= 0)
    place = scenes.place[row, slot]
    shape[row, place] = scenes.shape[row, slot] + 1
    colour[row, place] = scenes.colour[row, slot]
    size[row, place] = scenes.size[row, slot]
    shape_t, colour_t, size_t = (torch.from_numpy(values) for values in (shape, colour, size))
    return Board(
        shape=shape_t, colour=colour_t, size=size_t, background=torch.from_numpy(scenes.background.astype(np.int64))
    )


def main_class(scenes: Scenes) -> Tensor:
    """Class (b,) int64 in 0…47 of the main object, the first in ``scenes``: shape · 8 + colour."""
    return torch.from_numpy(scenes.shape[:, 0] * len(world.COLOURS) + scenes.colour[:, 0])
