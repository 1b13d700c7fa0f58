"""A set of pictures or clips, wherever it comes from: units that can be told apart by their content and decoded."""

from __future__ import annotations

import hashlib
import os
import typing
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from nuwa.data.ahead import ahead, background
from nuwa.data.captioned import Skipped
from nuwa.data.images import UnreadableImage

Kind = Literal["pictures", "clips", "pairs"]

BATCH: dict[Kind, int] = {"pictures": 64, "clips": 8, "pairs": 32}
"""Samples in a batch, where nothing else is asked for."""

WORKERS = max(1, min(16, os.cpu_count() or 1))
"""Decoding threads, where nothing else is asked for."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The samples of a unit, uint8: pictures (3, h, w), clips (t, 3, h, w) or pairs (2, 3, h, w); and what is lost."""

    samples: tuple[tuple[str, Tensor], ...]
    skipped: tuple[Skipped, ...] = ()

    @classmethod
    def one(cls, name: str, sample: Tensor) -> Loaded:
        """A unit that is one sample."""
        return cls(samples=((name, sample),))


class Unit(typing.Protocol):
    """What is stored together: a picture file, a row of an array, a video. Threads may ask it at the same time."""

    @property
    def id(self) -> str:
        """Its name within its source."""

    @property
    def size(self) -> int | None:
        """How many samples it holds, where that is known without reading it."""

    def digest(self) -> str:
        """sha256 of its content as stored. :class:`~nuwa.data.images.UnreadableImage` where it cannot be read."""

    def load(self) -> Loaded:
        """Its samples. :class:`~nuwa.data.images.UnreadableImage` where there are none."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples of one shape: ``images`` (b, …) uint8, their ``ids``, and ``positions`` in the order of the source.

    Pictures of mixed sizes come in batches of one size each, so positions need not be consecutive.
    """

    ids: tuple[str, ...]
    positions: tuple[int, ...]
    images: Tensor

    def __len__(self) -> int:
        return len(self.ids)


class Source:
    """A set of samples in a fixed order. Iterating decodes it, in batches, ahead of whoever asks.

    Attributes:
        name: what people call it, such as the name of its folder.
        form: how it is stored: "folder", "zip", "npz", "videos", "tensor", ….
        kind: what a sample is.
        units: what is stored together; a list, or an iterator that can be read once.
        skipped: samples left out so far, with the reason. Those that turn out to be unreadable are added when read.
        threads: whether several threads may decode at once.
    """

    def __init__(
        self,
        name: str,
        units: Sequence[Unit] | Iterator[Unit],
        *,
        form: str,
        kind: Kind = "pictures",
        skipped: Iterable[Skipped] = (),
        threads: bool = True,
        batch_size: int | None = None,
        workers: int | None = None,
    ) -> None:
        batch_size, workers = batch_size or BATCH[kind], workers or WORKERS
        if batch_size < 1 or workers < 1:
            raise ValueError(f"{name}: expected batch_size and workers >= 1, got {batch_size} and {workers}")
        self.name, self.form, self.kind = name, form, kind
        self.units = units
        self.skipped = list(skipped)
        self.threads = threads
        self.batch_size, self.workers = batch_size, workers

    @property
    def known(self) -> int | None:
        """How many samples to expect, or ``None`` where only reading tells."""
        if not isinstance(self.units, Sequence):
            return None
        sizes = [unit.size for unit in self.units]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def decoded(self, units: Iterable[Unit]) -> Generator[tuple[Unit, Loaded], None, None]:
        """``units`` of this source with their samples, in order, decoded ahead: two batches of pictures, few videos."""
        small = self.kind != "clips" and self.form != "videos"
        depth = max(2 * self.batch_size if small else 0, self.workers + 1)
        return ahead(load, units, self.workers, depth) if self.threads else background(map(load, units), depth)

    def __iter__(self) -> Iterator[Batch]:
        position = 0
        held: list[tuple[int, str, Tensor]] = []
        for _, loaded in self.decoded(self.units):
            self.skipped += loaded.skipped
            for name, sample in loaded.samples:
                held.append((position, name, sample))
                position += 1
            if len(held) >= self.batch_size:
                yield from batches(held, self.batch_size)
                held = []
        yield from batches(held, self.batch_size)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over ids and contents in order. ValueError for a source that can be read only once."""
        if not isinstance(self.units, Sequence):
            raise ValueError(
                f"{self.name}: expected a source that can be read twice, got an iterator; collect it first"
            )
        digests = ahead(digest, self.units, self.workers, 4 * self.workers)
        return fingerprint((unit.id, found) for unit, found in zip(self.units, digests, strict=True))


def fingerprint(units: Iterable[tuple[str, str]]) -> str:
    """sha256 over (id, digest) in order."""
    total = hashlib.sha256()
    for name, content in units:
        total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()


def digest(unit: Unit) -> str:
    """The unit's digest; that of the reason where it cannot be read, so that a repaired file is another content."""
    try:
        return unit.digest()
    except UnreadableImage as error:
        return hashlib.sha256(f"unreadable: {error.reason}".encode()).hexdigest()


def load(unit: Unit) -> tuple[Unit, Loaded]:
    """The unit with its samples, or with the reason why it has none."""
    try:
        return unit, unit.load()
    except UnreadableImage as error:
        return unit, Loaded(samples=(), skipped=(Skipped(unit.id, error.reason),))


def batches(samples: Sequence[tuple[int, str, Tensor]], batch_size: int) -> Iterator[Batch]:
    """Samples (position, id, tensor) as batches of one shape, shapes in order of first appearance."""
    shapes: dict[torch.Size, list[tuple[int, str, Tensor]]] = {}
    for sample in samples:
        shapes.setdefault(sample[2].shape, []).append(sample)
    for alike in shapes.values():
        for start in range(0, len(alike), batch_size):
            positions, ids, images = zip(*alike[start : start + batch_size], strict=True)
            yield Batch(ids=ids, positions=positions, images=torch.stack(images))
