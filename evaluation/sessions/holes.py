"""Holes that completion is tested with: a box, a half, or a free form, a pure function of the sample's id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nuwa import noise

Holes = Literal["mixed", "box", "half", "free-form"]
KINDS: tuple[str, ...] = ("box", "half", "free-form")
VERSION = 1  # another one where any hole is another
COARSE = 6  # values a side, between which a free form is smooth

_STREAM = noise.key("completion holes", VERSION)


def kinds_of(holes: Holes, num: int) -> NDArray[np.int64]:
    """Index into :data:`KINDS` (num,): the one that is asked for, or all of them in turn."""
    return np.arange(num) % len(KINDS) if holes == "mixed" else np.full(num, KINDS.index(holes))


def draw_holes(ids: Sequence[str], kinds: NDArray[np.int64], size_px: int) -> Tensor:
    """Holes (m, size_px, size_px) bool, True on hidden pixels, of m samples.

    A box hides a quarter of the picture, a half lies on one of the four sides, a free form hides a quarter to a half.
    """
    counters = np.array([noise.key(name) for name in ids], dtype=np.uint64)
    u = noise.uniform(_STREAM, counters[:, None], 0, np.arange(3)).T[..., None, None]  # (3, m, 1, 1)
    y, x = np.arange(size_px)[:, None], np.arange(size_px)
    side = size_px // 2
    top, left = (np.floor(each * (size_px - side + 1)) for each in u[:2])
    box = (y >= top) & (y < top + side) & (x >= left) & (x < left + side)
    quarter = np.floor(u[2] * 4)
    along = np.where(quarter < 2, y, x)
    half = np.where(quarter % 2 == 0, along < side, along >= side)
    rows, columns = np.arange(COARSE)[:, None], np.arange(COARSE)
    coarse = torch.from_numpy(noise.uniform(_STREAM, counters[:, None, None], 1 + rows, columns))
    form = F.interpolate(coarse[:, None], size=(size_px, size_px), mode="bicubic")[:, 0].numpy()
    rank = np.floor((0.25 + 0.25 * u[0, :, 0]) * size_px**2).astype(np.int64)
    level = np.take_along_axis(np.sort(form.reshape(len(form), -1), axis=1), rank, axis=1)
    drawn = np.stack([box, half, form < level[..., None]])
    return torch.from_numpy(drawn[kinds, np.arange(len(kinds))])


def mean_fill(pictures: Tensor, holes: Tensor) -> Tensor:
    """Pictures (m, 3, h, w) uint8 with the mean colour of what is known in place of the holes (m, h, w)."""
    known = ~holes[:, None]
    mean = (pictures * known).double().sum((2, 3)) / known.sum((2, 3))
    return torch.where(known, pictures, mean.round().to(torch.uint8)[..., None, None])


def hatched(pixels: Tensor, holes: Tensor) -> Tensor:
    """Pictures (m, 3, h, w) or clips (m, t, 3, h, w) uint8 with stripes over the holes (m, h, w), to look at."""
    h, w = holes.shape[1:]
    stripes = (torch.arange(h)[:, None] + torch.arange(w)) // 2 % 2 * 75 + 90
    hidden = holes[:, None] if pixels.dim() == 4 else holes[:, None, None]
    return torch.where(hidden, stripes.to(torch.uint8), pixels)
