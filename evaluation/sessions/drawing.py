"""Samples drawn batch by batch, each from a random stream of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nuwa.progress import progress
from nuwa.system import Nuwa
from nuwa.tokenizers.text import TextTokenizer

BATCH = 256

Draw = Callable[[list[int], list[int]], Tensor]
"""Pictures (b, 3, h, w) or clips (b, t, 3, h, w) uint8 of b rows of a test set, from their b sample indices."""


def draw(
    make: Draw,
    num: int,
    what: str,
    *,
    candidates: int = 1,
    order: Tensor | None = None,
    batch: int = BATCH,
    unit: str = "pictures",
) -> Tensor:
    """Samples (m, K, ...) uint8 on the CPU of ``num`` rows, ``candidates`` of each.

    Candidate k of row i is sample (k, i), so it is the same whatever K, ``order`` and ``batch`` are. ``order`` (m,) is that
    in which rows go into batches.
    """
    order = torch.arange(num) if order is None else order
    columns = []
    with progress(None, what, total=num * candidates, unit=unit) as bar:
        for candidate in range(candidates):
            parts = []
            for rows in (part.tolist() for part in order.split(batch)):
                parts.append(make(rows, [(candidate << 32) + row for row in rows]).cpu())
                bar.update(len(rows))
            columns.append(torch.cat(parts)[order.argsort()])
    return torch.stack(columns, dim=1)


def by_length(tokenizer: TextTokenizer, captions: Sequence[str]) -> Tensor:
    """Rows (m,) from the shortest caption to the longest: the texts of a batch are padded to the longest."""
    return tokenizer.encode(captions).valid.sum(dim=1).argsort(stable=True)


def rebuild(system: Nuwa, pixels: Tensor, *, batch: int = BATCH) -> tuple[Tensor, Tensor]:
    """Tokens (m, t, h, w) int64 of pictures (m, 3, h, w) or clips (m, t, 3, h, w), and what they are decoded to."""
    tokens = torch.cat([system.tokenizer.encode(part.to(system.device)) for part in pixels.split(batch)])
    rebuilt = torch.cat([system.tokenizer.decode(part).cpu() for part in tokens.split(batch)])
    return tokens.cpu(), rebuilt if pixels.dim() == 5 else rebuilt[:, 0]
