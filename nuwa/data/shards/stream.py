"""Shards as a training reads them: a batch is a function of its step, so that a run that was stopped goes on."""

from __future__ import annotations

from typing import Protocol

from nuwa.data.shards.loader import TokenBatch, as_tensors, read_batch
from nuwa.data.shards.order import Order
from nuwa.data.shards.read import Shards


class TokenStream(Protocol):
    """An endless source of samples that were encoded before."""

    def tokens(self, step: int, size: int) -> TokenBatch:
        """The ``size`` samples of training step ``step``."""


class ShardStream:
    """What a :class:`nuwa.data.streams.Stream` is for pictures: batch ``step`` is that of a :class:`ShardLoader`."""

    def __init__(self, shards: Shards, seed: int = 0) -> None:
        self.shards, self.order = shards, Order(len(shards), len(shards.views), seed)

    def tokens(self, step: int, size: int) -> TokenBatch:
        """The ``size`` samples of training step ``step``. A batch may run over the end of an epoch."""
        return as_tensors(read_batch(self.shards, self.order, range(step * size, (step + 1) * size)))
