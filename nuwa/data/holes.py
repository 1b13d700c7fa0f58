"""Random holes in a grid of tokens, to learn completion from: boxes, all but a box, one side, and free forms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nuwa import noise

SHARES = {"box": 0.45, "all but a box": 0.15, "one side": 0.2, "free form": 0.2}


def holes(stream: int, counters: ArrayLike, h: int, w: int) -> NDArray[np.bool_]:
    """Holes (b, h, w), True on hidden cells, a pure function of the stream and of each of the ``counters`` (b,).

    At least one cell is hidden; all may be, as under a mask that touches every cell.
    """
    row = np.asarray(counters)[:, None]
    u = noise.uniform(stream, row, 0, np.arange(8)).T[..., None, None]  # (8, b, 1, 1)
    y, x = np.arange(h)[:, None], np.arange(w)
    height, width = 1 + np.floor(u[1] * h), 1 + np.floor(u[2] * w)
    top, left = np.floor(u[3] * (h - height + 1)), np.floor(u[4] * (w - width + 1))
    box = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    side = np.floor(u[5] * 4)
    across = np.where(side < 2, (y + 0.5) / h, (x + 0.5) / w)
    sides = np.where(side % 2 == 0, across < u[6], across >= u[6])
    form = _smooth(noise.uniform(stream, row[..., None], 1 + np.arange(h)[:, None], np.arange(w)))
    rank = np.floor((0.25 + 0.5 * u[7, :, 0]) * h * w).astype(np.int64)  # a quarter to three quarters are hidden
    level = np.take_along_axis(np.sort(form.reshape(len(form), -1), axis=1), rank, axis=1)
    kinds = [box, ~box, sides, form >= level[..., None]]
    kind = np.searchsorted(np.cumsum(list(SHARES.values()))[:-1], u[0, :, 0, 0], side="right")
    hidden = np.stack(kinds)[kind, np.arange(len(kind))]
    return np.where(hidden.any(axis=(1, 2), keepdims=True), hidden, True)


def _smooth(field: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the 3×3 neighbours (b, h, w), borders repeated, so that a threshold leaves blobs."""
    padded = np.pad(field, ((0, 0), (1, 1), (1, 1)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return windows.mean(axis=(3, 4))
