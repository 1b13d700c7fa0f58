"""What training reads: batches that are a pure function of the step, so that a resumed run sees the same data."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nuwa import noise
from nuwa.data.captioned import CaptionedClips, CaptionedPictures
from nuwa.data.loading import pixels_of
from nuwa.data.parts import blocks, joined


class Stream(abc.ABC):
    """An endless source of captioned pictures or clips.

    Sample i of a batch is that of position ``step * size + i`` in an endless order, unless a stream has its own :meth:`part`.
    """

    @abc.abstractmethod
    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        """Pictures uint8 (size, 3, h, w), or clips (size, t, 3, h, w), and captions of training step ``step``."""

    def part(self, step: int, size: int, rows: range) -> tuple[Tensor, list[str]]:
        """Those rows of ``batch(step, size)`` without reading the others: what one of several processes reads."""
        found = [self.batch(*each) for each in blocks(step, size, rows)]
        return joined([pixels for pixels, _ in found]), [caption for _, captions in found for caption in captions]


class MapStream(Stream):
    """One whose pictures or clips have segmentation maps, which serve as sketches."""

    @abc.abstractmethod
    def maps(self, step: int, size: int) -> Tensor:
        """Segmentation maps uint8 (size, h, w) or (size, t, h, w) of what ``batch(step, size)`` shows."""

    def part_maps(self, step: int, size: int, rows: range) -> Tensor:
        """Those rows of ``maps(step, size)``."""
        return joined([self.maps(*each) for each in blocks(step, size, rows)])


@dataclass(frozen=True)
class PicturesAndFrames(MapStream):
    """Half pictures, half frames of clips: what one tokenizer for both learns from, and one for their maps."""

    pictures: Stream
    clips: Stream
    frames: int  # of a clip

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        """See :class:`Stream`; a frame has the caption of its clip."""
        return self.part(step, size, range(size))

    def part(self, step: int, size: int, rows: range) -> tuple[Tensor, list[str]]:
        """See :class:`Stream`."""
        found = []
        for stream, where, cut in self._both(size, rows):
            pixels, captions = stream.part(step, *where)
            if pixels.ndim == 5:
                captions = [caption for caption in captions for _ in range(self.frames)]
                pixels = pixels.flatten(0, 1)
            found.append((pixels[cut], captions[cut]))
        return joined([pixels for pixels, _ in found]), [caption for _, captions in found for caption in captions]

    def maps(self, step: int, size: int) -> Tensor:
        """See :class:`MapStream`; of streams that have maps."""
        return self.part_maps(step, size, range(size))

    def part_maps(self, step: int, size: int, rows: range) -> Tensor:
        """See :class:`MapStream`."""
        found = []
        for stream, where, cut in self._both(size, rows):
            assert isinstance(stream, MapStream)
            maps = stream.part_maps(step, *where)
            found.append((maps if maps.ndim == 3 else maps.flatten(0, 1))[cut])
        return joined(found)

    def _both(self, size: int, rows: range) -> Iterator[tuple[Stream, tuple[int, range], slice]]:
        """The pictures and the clips in which these rows lie: a stream, its (size, rows), and what to cut out of its frames."""
        still, frames = size - size // 2, self.frames
        pictures = range(rows.start, min(rows.stop, still))
        if pictures:
            yield self.pictures, (still, pictures), slice(None)
        moving = range(max(0, rows.start - still), rows.stop - still)
        if moving:
            clips = range(moving.start // frames, -(-moving.stop // frames))
            first = clips.start * frames
            yield self.clips, (self.num_clips(size), clips), slice(moving.start - first, moving.stop - first)

    def num_clips(self, size: int) -> int:
        """Clips that a batch of ``size`` has frames of."""
        return -(-(size // 2) // self.frames)


class ShuffledStream(Stream):
    """A fixed dataset of pictures or clips in a new order every epoch; they are kept in memory once read."""

    def __init__(self, dataset: CaptionedPictures | CaptionedClips, seed: int = 0) -> None:
        if not len(dataset):
            raise ValueError(f"{dataset.name} {dataset.split}: expected samples to train on, got none that can be read")
        self.dataset, self.seed = dataset, seed
        self._read: dict[int, Tensor] = {}

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        """See :class:`Stream`. A batch may run over the end of an epoch."""
        rows = self.rows(step, size)
        return torch.stack([self._pixels(row) for row in rows]), [self.dataset.captions[row] for row in rows]

    def rows(self, step: int, size: int) -> list[int]:
        """Those of the dataset that ``batch(step, size)`` shows."""
        return [self.at(position) for position in range(step * size, (step + 1) * size)]

    def at(self, position: int) -> int:
        """The row at a position of the endless order."""
        epoch, place = divmod(position, len(self.dataset))
        return int(self._order(epoch)[place])

    @lru_cache(maxsize=2)  # noqa: B019  a stream lives as long as the training
    def _order(self, epoch: int) -> np.ndarray:
        return np.argsort(noise.uniform(noise.key("order", self.seed), epoch, np.arange(len(self.dataset))))

    def _pixels(self, row: int) -> Tensor:
        if row not in self._read:
            self._read[row] = pixels_of(self.dataset, row)
        return self._read[row]
