"""The order of samples: a permutation of any length that is never written down.

A global shuffle, so that every sample can follow every other. It is computed for just the places that are asked for, by
the swap-or-not shuffle (Hoang, Morris and Rogaway, "An enciphering scheme based on a card shuffle", CRYPTO 2012), which
works on exactly n elements: no table of n numbers, no rounding of n, no sorting. Memory is the same for a hundred and for
10^8 samples, and going on in the middle of an epoch costs nothing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nuwa import noise

ROUNDS = 64
"""The place of a sample is uniform to within √n / 2 · 2^(-ROUNDS / 2) in total variation: 1e-6 for n = 10^8."""

_BLOCK = 4096  # places computed at once: what numpy costs per call is spread over them


def permute(places: NDArray[np.int64], num: int, key: int) -> NDArray[np.int64]:
    """Elements of the permutation of ``range(num)`` that belongs to ``key``, at ``places`` in ``range(num)``, int64."""
    pivots = noise.integers(noise.key("pivots", key), num, np.arange(ROUNDS))
    at = np.asarray(places, dtype=np.int64)
    for number, pivot in enumerate(pivots.tolist()):
        partner = pivot - at
        partner += num * (partner < 0)  # both ends of a pair see the same partner, and the same coin
        coin = noise.bits(key, number, np.maximum(at, partner)) & np.uint64(1)
        at = np.where(coin.astype(bool), partner, at)
    return at


class Order:
    """Epochs without end: position p is place p % num of epoch p // num, and each epoch has an order of its own.

    A sample's views take turns: over ``num_views`` epochs it shows each of them once, and every epoch mixes them.
    """

    def __init__(self, num: int, num_views: int, seed: int) -> None:
        self.num, self.num_views, self.seed = num, num_views, seed
        self._view_key = noise.key("shards", "views", seed)

    def at(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows in ``range(num)`` and their views in ``range(num_views)``, int64, at ``positions`` >= 0."""
        epochs, places = np.divmod(np.asarray(positions, dtype=np.int64), self.num)
        rows = np.empty_like(places)
        blocks = places // _BLOCK
        for epoch, block in np.unique(np.stack([epochs, blocks], axis=1), axis=0).tolist():
            inside = (epochs == epoch) & (blocks == block)
            rows[inside] = self._rows(epoch, block)[places[inside] - block * _BLOCK]
        first = noise.integers(self._view_key, self.num_views, rows)
        return rows, (first + epochs) % self.num_views

    @lru_cache(maxsize=4)  # noqa: B019  small, and an order lives as long as the training
    def _rows(self, epoch: int, block: int) -> NDArray[np.int64]:
        places = np.arange(block * _BLOCK, min((block + 1) * _BLOCK, self.num))
        return permute(places, self.num, noise.key("shards", "order", self.seed, epoch))
