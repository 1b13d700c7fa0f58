"""Pictures as patches, each different one once: in drawings most are alike, and a network that sees one at a time is slow."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WORD = 8  # bytes that are hashed together
ODD = (-7046029254386353131, -4417276706812531889)  # 64-bit multipliers with well-mixed bits: xxHash64's primes 1 and 2


def distinct(pictures: Tensor, side: int) -> tuple[Tensor, Tensor] | None:
    """The different patches (k, c, side, side) of pictures (m, c, H, W), uint8, and which is where, (m, h, w) int64.

    None where they are more than half of all, so that there is nothing to gain. Patches are found by a hash, and compared.
    """
    m, c, height, width = pictures.shape
    h, w = height // side, width // side
    patches = pictures.reshape(m, c, h, side, w, side).permute(0, 2, 4, 1, 3, 5).reshape(m * h * w, c * side * side)
    _, place = torch.unique(_hash(patches), return_inverse=True)
    number = int(place.max()) + 1
    if 2 * number > len(patches):
        return None
    one = torch.empty(number, dtype=torch.int64).index_copy_(0, place, torch.arange(len(patches)))
    found = patches[one]
    if not torch.equal(found[place], patches):  # two patches of one hash, about once in 10^12 batches
        return None
    return found.view(number, c, side, side), place.view(m, h, w)


def _hash(rows: Tensor) -> Tensor:
    """(m,) int64 of rows (m, n) uint8."""
    words = F.pad(rows, (0, -rows.shape[1] % WORD)).view(torch.int64)
    mixed = words * ODD[0]
    mixed = (mixed ^ (mixed >> 32)) * ODD[1]  # high bits reach the low ones
    weights = (
        torch.arange(1, 2 * words.shape[1], 2) * ODD[0]
    )  # odd, so that nothing is lost, and another for each place
    return ((mixed ^ (mixed >> 29)) * weights).sum(dim=1)
