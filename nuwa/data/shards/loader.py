"""Batches of tokens for training: the same sequence for a seed, whatever the number of ranks, workers and stops.

All samples of all epochs form one endless line (:mod:`nuwa.data.shards.order`). Batch i of a run is its next ``batch``
positions, of which every rank takes an equal, contiguous share; workers take whole batches in turn. So a batch is a
function of its position alone, and the state of a loader is one number.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nuwa.data.shards.order import Order
from nuwa.data.shards.read import Shards

EpochEnd = Literal["run-on", "short"]


class TokenBatch(NamedTuple):
    """Samples as tokens; what a rank gets of a batch."""

    tokens: Tensor
    """(b, t, h, w) int64 in [0, num_codes)."""
    text: Tensor
    """(b, 77) int64 in [0, vocab_size); 0 after the end, and nowhere else."""
    rows: Tensor
    """(b,) int64: which samples of the shards they are."""
    views: Tensor
    """(b,) int64: which of ``Shards.views`` they show."""


class ShardLoader:
    """Iterate over it, save ``state_dict()``, go on anywhere.

    Args:
        shards: what to read.
        batch: samples of a batch, over all ranks: a setting of the training and none of the machine. A multiple of ``ranks``.
        seed: of the order of samples and views.
        rank: number of this process, in ``range(ranks)``.
        ranks: number of processes; every one makes its own loader with the same ``batch`` and ``seed``.
        workers: processes that read ahead; 0 reads in this one, which is enough for tokens.
        epoch_end: what happens where ``batch`` does not divide the number of samples. ``"run-on"`` never ends, and a batch
            may hold the last samples of an epoch and the first of the next, which may be the same ones. ``"short"`` ends
            with the epoch: its last batch holds what is left, in shares that differ by at most one sample, of which some
            may be empty; the next iteration is the next epoch.

    Raises:
        ValueError: a number is out of range, or ``batch`` is no multiple of ``ranks``.
    """

    def __init__(
        self,
        shards: Shards,
        *,
        batch: int,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        workers: int = 0,
        epoch_end: EpochEnd = "run-on",
    ) -> None:
        if ranks < 1 or not 0 <= rank < ranks or workers < 0:
            raise ValueError(f"loader: expected 0 <= rank < ranks and workers >= 0, got {rank}, {ranks} and {workers}")
        if batch < 1 or batch % ranks:
            raise ValueError(
                f"loader: expected a batch that {ranks} ranks can share equally, got {batch}; it counts the samples of all "
                "ranks together"
            )
        self.shards, self.batch, self.workers = shards, batch, workers
        self.rank, self.ranks, self.epoch_end = rank, ranks, epoch_end
        self.order = Order(len(shards), len(shards.views), seed)
        self.position = 0
        """Samples that have been handed out to all ranks, over all epochs; equal on every rank."""

    @property
    def epoch(self) -> int:
        """The epoch that the next sample belongs to."""
        return self.position // len(self.shards)

    def __iter__(self) -> Iterator[TokenBatch]:
        """Batches from ``position`` on."""
        cuts = Cuts(self.position, len(self.shards), self.batch, self.epoch_end)
        source = _Batches(self.shards, self.order, cuts, self.rank, self.ranks)
        batches = DataLoader(
            source,
            batch_size=None,  # an item is a whole batch
            sampler=range(cuts.count),
            num_workers=self.workers,
            collate_fn=_as_it_is,
        )
        for number, arrays in enumerate(batches):
            self.position = cuts[number].stop  # not what workers have read ahead
            yield as_tensors(arrays)

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, as plain values: the same on every rank, and good for any number of ranks and any ``batch``."""
        return {"position": self.position, "seed": self.order.seed, "shards": self.shards.fingerprint}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on there with the next iteration. ValueError where the state belongs to another seed or other shards."""
        own = self.state_dict()
        if state.keys() != own.keys():
            raise ValueError(f"loader: expected a state of {', '.join(own)}, got {', '.join(sorted(state))}")
        if different := [name for name in ("seed", "shards") if state[name] != own[name]]:
            raise ValueError(
                f"loader: expected a state of the same seed and shards, got one with other {' and '.join(different)}; "
                "pass those it was saved with, or begin anew"
            )
        self.position = int(state["position"])


class Cuts:
    """The line of samples cut into batches, from ``first`` on."""

    def __init__(self, first: int, num: int, batch: int, epoch_end: EpochEnd) -> None:
        self.first, self.batch = first, batch
        self._end = sys.maxsize if epoch_end == "run-on" else (first // num + 1) * num

    @property
    def count(self) -> int:
        """Number of batches."""
        return -(-(self._end - self.first) // self.batch)

    def __getitem__(self, number: int) -> range:
        """Positions of batch ``number``."""
        start = self.first + number * self.batch
        return range(start, min(start + self.batch, self._end))


Arrays = tuple[NDArray[np.integer[Any]], ...]
"""The parts of a :class:`TokenBatch` as they are stored: what workers send, a quarter of the bytes of int64."""


def read_batch(shards: Shards, order: Order, positions: range) -> Arrays:
    """The samples at ``positions`` of the line."""
    rows, views = order.at(np.arange(positions.start, positions.stop))
    return (*shards.read(rows, views), rows, views)


def as_tensors(arrays: Arrays) -> TokenBatch:
    """In int64, as models take them."""
    return TokenBatch(*(torch.from_numpy(array.astype(np.int64)) for array in arrays))


def _as_it_is(arrays: Any) -> Any:
    return arrays  # in the place of torch's conversion, which sends a file descriptor per tensor


class _Batches(Dataset[Arrays]):
    """Item i is what a rank gets of batch i."""

    def __init__(self, shards: Shards, order: Order, cuts: Cuts, rank: int, ranks: int) -> None:
        self.shards, self.order, self.cuts, self.rank, self.ranks = shards, order, cuts, rank, ranks

    def __len__(self) -> int:
        return self.cuts.count

    def __getitem__(self, number: int) -> Arrays:
        whole = self.cuts[number]
        start, stop = (len(whole) * share // self.ranks for share in (self.rank, self.rank + 1))
        return read_batch(self.shards, self.order, whole[start:stop])
