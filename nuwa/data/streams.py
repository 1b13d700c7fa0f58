"""What training reads: batches that are a pure function of the step, so that a resumed run sees the same data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from nuwa import noise
from nuwa.data.captioned import CaptionedClips, CaptionedPictures
from nuwa.data.loading import pixels_of


class Stream(Protocol):
    """An endless source of captioned pictures or clips."""

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        """Pictures uint8 (size, 3, h, w), or clips (size, t, 3, h, w), and captions of training step ``step``."""


@runtime_checkable
class MapStream(Stream, Protocol):
    """One whose pictures or clips have segmentation maps, which serve as sketches."""

    def maps(self, step: int, size: int) -> Tensor:
        """Segmentation maps uint8 (size, h, w) or (size, t, h, w) of what ``batch(step, size)`` shows."""


@dataclass(frozen=True)
class PicturesAndFrames:
    """Half pictures, half frames of clips: what one tokenizer for both learns from, and one for their maps."""

    pictures: Stream
    clips: Stream
    frames: int  # of a clip

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        """See :class:`Stream`; a frame has the caption of its clip."""
        still, count = size - size // 2, size // 2
        pictures, captions = self.pictures.batch(step, still)
        if not count:
            return pictures, captions
        clips, moving = self.clips.batch(step, self.num_clips(size))
        frames = clips.flatten(0, 1)[:count]
        return torch.cat([pictures, frames]), captions + [moving[row // self.frames] for row in range(count)]

    def maps(self, step: int, size: int) -> Tensor:
        """See :class:`MapStream`; of streams that have maps."""
        assert isinstance(self.pictures, MapStream)
        assert isinstance(self.clips, MapStream)
        still, count = size - size // 2, size // 2
        pictures = self.pictures.maps(step, still)
        return torch.cat([pictures, self.clips.maps(step, self.num_clips(size)).flatten(0, 1)[:count]])

    def num_clips(self, size: int) -> int:
        """Clips that a batch of ``size`` has frames of."""
        return -(-(size // 2) // self.frames)


class ShuffledStream:
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
