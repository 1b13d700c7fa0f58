"""Some rows of a training batch without reading the others: what one of several processes, or a part of a step, reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def blocks(step: int, size: int, rows: range) -> Iterator[tuple[int, int]]:
    """Smaller batches (step, size) that follow each other and are together these rows of a batch.

    Where sample i of a batch is that of position ``step * size + i`` in an endless order, some rows are whole batches of
    smaller sizes.
    """
    first = step * size + rows.start
    block = math.gcd(first, len(rows))
    for place in range(first, first + len(rows), block):
        yield place // block, block


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Batches behind each other; one as it is."""
    return parts[0] if len(parts) == 1 else torch.cat([*parts])
