"""Sprites as a fixed list of captioned pictures and as an endless stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nuwa.data.captioned import Skipped
from nuwa.data.sprites import world
from nuwa.data.sprites.captions import captions
from nuwa.data.sprites.render import render, segment
from nuwa.data.sprites.scenes import Scenes, draw
from nuwa.data.streams import MapStream
from nuwa.noise import key


@dataclass(frozen=True)
class SpritesPictures:
    """Samples ``first`` to ``first + num - 1`` of a split, as ``nuwa.data.captioned.CaptionedPictures``."""

    split: str
    num: int
    size_px: int = 32
    first: int = 0
    name: str = "sprites"
    version: str = world.VERSION
    skipped: Sequence[Skipped] = field(default=())
    take: int = 0  # another one shows the same captions in other pictures

    def __post_init__(self) -> None:
        check_sizes(self.num, self.first, self.size_px)

    def __len__(self) -> int:
        return self.num

    @cached_property
    def scenes(self) -> Scenes:
        """What the pictures show: the ground truth of every attribute."""
        return draw(self.split, np.arange(self.first, self.first + self.num), take=self.take)

    @cached_property
    def ids(self) -> list[str]:
        """``<split>-<index>``."""
        return sample_ids(self.split, self.first, self.num)

    @cached_property
    def captions(self) -> list[str]:
        """One caption a picture."""
        return captions(self.scenes)

    @property
    def fingerprint(self) -> str:
        """Digest of what defines the samples: they are a pure function of it."""
        return f"{key('sprites', self.version, self.split, self.first, self.num, self.size_px, self.take):016x}"

    def image(self, index: int) -> Tensor:
        """Picture ``index``, uint8 (3, size_px, size_px)."""
        return self.images(slice(index, index + 1))[0]

    def images(self, rows: slice) -> Tensor:
        """Some pictures, uint8 (b, 3, size_px, size_px); cheaper than one by one."""
        return torch.from_numpy(render(self.scenes[rows], self.size_px))

    def maps(self, rows: slice) -> Tensor:
        """Their segmentation maps, uint8 (b, size_px, size_px) in ``range(len(world.CLASSES))``."""
        return torch.from_numpy(segment(self.scenes[rows], self.size_px))


@dataclass(frozen=True)
class SpritesStream(MapStream):
    """Fresh samples of the split ``train``, no two batches alike."""

    size_px: int = 32

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        """Pictures uint8 (size, 3, size_px, size_px) and captions of training step ``step``."""
        scenes = self.scenes(step, size)
        return torch.from_numpy(render(scenes, self.size_px)), captions(scenes)

    def maps(self, step: int, size: int) -> Tensor:
        """Segmentation maps uint8 (size, size_px, size_px) of the pictures of ``batch(step, size)``."""
        return torch.from_numpy(segment(self.scenes(step, size), self.size_px))

    def scenes(self, step: int, size: int) -> Scenes:
        """What ``batch(step, size)`` shows."""
        return draw("train", step_indices(step, size))


def check_sizes(num: int, first: int, size_px: int) -> None:
    """ValueError for numbers that make no dataset."""
    if num < 1 or first < 0 or size_px < 8:
        raise ValueError(f"sprites: expected num >= 1, first >= 0 and size_px >= 8, got {num}, {first}, {size_px}")


def sample_ids(split: str, first: int, num: int) -> list[str]:
    """``<split>-<index>`` of the samples ``first`` to ``first + num - 1``."""
    return [f"{split}-{index:06d}" for index in range(first, first + num)]


def step_indices(step: int, size: int) -> NDArray[np.int64]:
    """Samples (size,) of training step ``step``."""
    return np.arange(step * size, (step + 1) * size)
