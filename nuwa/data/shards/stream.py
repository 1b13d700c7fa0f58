"""Shards in the place of pictures or clips: what a training reads without encoding anything."""

from __future__ import annotations

import torch
from torch import Tensor

from nuwa.data.shards.loader import as_tensors, read_batch
from nuwa.data.shards.order import Order
from nuwa.data.shards.read import Shards
from nuwa.tokenizers.vqgan import VQGAN


class ShardStream:
    """A :class:`nuwa.data.streams.Stream` of tokens; batch ``step`` is what a :class:`ShardLoader` gives at that step."""

    def __init__(self, shards: Shards, seed: int = 0) -> None:
        self.shards, self.order = shards, Order(len(shards), len(shards.views), seed)

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        """Tokens int64 (size, t, h, w) and captions. A batch may run over the end of an epoch."""
        found = as_tensors(read_batch(self.shards, self.order, range(step * size, (step + 1) * size)))
        return found.tokens, [line.caption for line in self.shards.lines(found.rows.numpy())]


def as_tokens(batch: Tensor, tokenizer: VQGAN) -> Tensor:
    """Tokens (b, t, h, w) int64 of what a stream gave: encoded, or as they are where they were encoded before."""
    return batch if batch.dtype == torch.int64 else tokenizer.encode(batch)
