"""A sample of many rows that does not depend on their order, their batches or the process they came to."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nuwa import noise

_STREAM = noise.key("kept rows")


def keep(rows: Tensor, most: int) -> Tensor:
    """At most ``most`` of the rows (n, d) float32, in their order: those with the smallest hash of their content.

    Keeping some of what was kept and of what came after gives the rows that keeping some of all at once would give.
    """
    if len(rows) <= most:
        return rows
    chosen = np.argsort(content_hash(rows), kind="stable")[:most]
    return rows[torch.from_numpy(np.sort(chosen)).to(rows.device)]


def content_hash(rows: Tensor) -> np.ndarray:
    """64 bits for each of the rows (n, d) float32 that depend on its numbers alone, (n,) uint64."""
    factors = noise.bits(_STREAM, np.arange(rows.shape[1])) | np.uint64(1)
    numbers = rows.float().contiguous().view(torch.int32).to(torch.int64)  # their bits
    sums = (numbers * torch.from_numpy(factors.view(np.int64)).to(rows.device)).sum(1)  # wraps around
    return noise.bits(_STREAM, sums.cpu().numpy().view(np.uint64))
