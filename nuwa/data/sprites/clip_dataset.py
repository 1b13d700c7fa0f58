"""Clips of sprites as a fixed list and as an endless stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nuwa.data.captioned import Skipped
from nuwa.data.sprites import actions, world
from nuwa.data.sprites.captions import clip_captions
from nuwa.data.sprites.clips import Clips, draw_clips, render_clip, segment_clip
from nuwa.data.sprites.dataset import check_sizes, sample_ids, step_indices
from nuwa.data.sprites.outcomes import draw_outcomes
from nuwa.data.streams import MapStream
from nuwa.noise import key


@dataclass(frozen=True)
class SpritesClips:
    """Clips ``first`` to ``first + num - 1`` of a split, as ``nuwa.data.captioned.CaptionedClips``."""

    split: str
    num: int
    frames: int = 5
    size_px: int = 32
    first: int = 0
    name: str = "sprites-clips"
    version: str = world.VERSION
    skipped: Sequence[Skipped] = field(default=())
    take: int = 0  # another one shows the same captions in other clips

    def __post_init__(self) -> None:
        check_sizes(self.num, self.first, self.size_px)
        actions.moments(self.frames)

    def __len__(self) -> int:
        return self.num

    @cached_property
    def shown(self) -> Clips:
        """What the clips show: the ground truth of every attribute and action."""
        return draw_clips(self.split, np.arange(self.first, self.first + self.num), take=self.take)

    @cached_property
    def ids(self) -> list[str]:
        """``<split>-<index>``."""
        return sample_ids(self.split, self.first, self.num)

    @cached_property
    def captions(self) -> list[str]:
        """One caption a clip."""
        return clip_captions(self.shown)

    @property
    def labels(self) -> Tensor:
        """What the main objects do, int64 (num,) index into ``actions.ACTIONS``: the classes of acc."""
        return torch.from_numpy(self.shown.label)

    @property
    def fingerprint(self) -> str:
        """Digest of what defines the samples: they are a pure function of it."""
        parts = (self.name, self.version, self.split, self.first, self.num, self.frames, self.size_px, self.take)
        return f"{key(*parts):016x}"

    def clip(self, index: int) -> Tensor:
        """Clip ``index``, uint8 (frames, 3, size_px, size_px)."""
        return self.clips(slice(index, index + 1))[0]

    def clips(self, rows: slice) -> Tensor:
        """Some clips, uint8 (b, frames, 3, size_px, size_px); cheaper than one by one."""
        return torch.from_numpy(render_clip(self.shown[rows], self.frames, self.size_px))

    def outcomes(self, rows: slice) -> Tensor:
        """Other clips that begin with the same frames, as :meth:`clips`, of one draw of :func:`draw_outcomes` for all."""
        return torch.from_numpy(render_clip(self._other[rows], self.frames, self.size_px))

    @cached_property
    def _other(self) -> Clips:
        return draw_outcomes(self.shown, self.split, np.arange(self.first, self.first + self.num))

    def maps(self, rows: slice) -> Tensor:
        """Their segmentation maps, uint8 (b, frames, size_px, size_px) in ``range(len(world.CLASSES))``."""
        return torch.from_numpy(segment_clip(self.shown[rows], self.frames, self.size_px))


@dataclass(frozen=True)
class SpritesClipStream(MapStream):
    """Fresh clips of the split ``train``, no two batches alike; every method is a function of step and size alone."""

    frames: int = 5
    size_px: int = 32

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        """Clips uint8 (size, frames, 3, size_px, size_px) and captions of training step ``step``."""
        clips = self.shown(step, size)
        return torch.from_numpy(render_clip(clips, self.frames, self.size_px)), clip_captions(clips)

    def maps(self, step: int, size: int) -> Tensor:
        """Segmentation maps uint8 (size, frames, size_px, size_px) of the clips of ``batch(step, size)``."""
        return torch.from_numpy(segment_clip(self.shown(step, size), self.frames, self.size_px))

    def labels(self, step: int, size: int) -> Tensor:
        """What the main objects of ``batch(step, size)`` do, int64 (size,)."""
        return torch.from_numpy(self.shown(step, size).label)

    def shown(self, step: int, size: int) -> Clips:
        """What ``batch(step, size)`` shows."""
        return draw_clips("train", step_indices(step, size))
