"""Pictures as patches, each different one once: in drawings most are alike, and a network that sees one at a time is slow."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WORD = 8  # bytes that are hashed together
ODD = (-7046029254386353131, -4417276706812531889)  # 64-bit multipliers with well-mixed bits: xxHash64's primes 1 and 2


def distinct(pictures: Tensor, side: int) -> tuple[Tensor, Tensor] | None:
    """The different patches (k, c, side, side) of pictures (m, c, H, W) of whole numbers, and which is where, (m, h, w) int64.

    None where they are more than half of all, so that there is nothing to gain. Patches are found by a hash, and compared.
    """
    m, c, height, width = pictures.shape
    h, w = height // side, width // side
    patches = pictures.reshape(m, c, h, side, w, side).permute(0, 2, 4, 1, 3, 5).reshape(m * h * w, c * side * side)
    hashes, place = torch.unique(_hash(patches.view(torch.uint8)), return_inverse=True)
    if 2 * len(hashes) > len(patches):
        return None
    one = torch.empty_like(hashes).index_copy_(0, place, torch.arange(len(patches)))
    found = patches[one]
    if not torch.equal(found[place], patches):  # two patches of one hash, about once in 10^12 batches
        return None
    return found.view(len(hashes), c, side, side), place.view(m, h, w)


def _hash(rows: Tensor) -> Tensor:
    """(m,) int64 of rows (m, n) uint8: word after word, so that it matters where one stands."""
    words = F.pad(rows, (0, -rows.shape[1] % WORD)).view(torch.int64)
    found = torch.zeros(len(rows), dtype=torch.int64)
    for word in words.unbind(dim=1):
        found = found ^ word
        for odd in ODD:  # every bit is spread over all of them
            found = found * odd
            found = found ^ (found >> 32)
    return found
