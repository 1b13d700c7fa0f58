"""Edits of sprites as a fixed list: what is given, what is asked for, and what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nuwa.data.captioned import Skipped
from nuwa.data.sprites import actions, world
from nuwa.data.sprites.captions import captions, clip_captions
from nuwa.data.sprites.clips import Clips, render_clip
from nuwa.data.sprites.dataset import check_sizes, sample_ids
from nuwa.data.sprites.edits import Edits, draw_clip_edits, draw_edits, masks
from nuwa.data.sprites.instructions import instructions
from nuwa.data.sprites.render import render
from nuwa.data.sprites.scenes import Scenes
from nuwa.noise import key


@dataclass(frozen=True)
class SpritesEdits:
    """Edits ``first`` to ``first + num - 1`` of a split: of pictures, or of clips where a number of frames is given."""

    split: str
    num: int
    frames: int | None = None
    size_px: int = 32
    first: int = 0
    name: str = "sprites-edits"
    version: str = world.VERSION
    skipped: Sequence[Skipped] = field(default=())
    take: int = 0  # another one makes the same edits in other pictures

    def __post_init__(self) -> None:
        check_sizes(self.num, self.first, self.size_px)
        if self.frames is not None:
            actions.moments(self.frames)

    def __len__(self) -> int:
        return self.num

    @cached_property
    def edits(self) -> Edits[Scenes] | Edits[Clips]:
        """What is edited, and what comes out."""
        indices = np.arange(self.first, self.first + self.num)
        if self.frames is None:
            return draw_edits(self.split, indices, take=self.take)
        return draw_clip_edits(self.split, indices, take=self.take)

    @cached_property
    def ids(self) -> list[str]:
        """``<split>-<index>``."""
        return sample_ids(self.split, self.first, self.num)

    @cached_property
    def instructions(self) -> list[str]:
        """What is asked for: one sentence an edit."""
        return instructions(self.edits)

    @cached_property
    def captions(self) -> list[str]:
        """What the target shows, in full: the text of a model that draws what its text says."""
        return _captions(self.edits.target)

    @cached_property
    def captions_before(self) -> list[str]:
        """What the source shows, in the same wording."""
        return _captions(self.edits.source)

    @property
    def fingerprint(self) -> str:
        """Digest of what defines the samples: they are a pure function of it."""
        parts = (self.name, self.version, self.split, self.first, self.num, self.size_px, self.take, str(self.frames))
        return f"{key(*parts):016x}"

    def sources(self, rows: slice) -> Tensor:
        """Some pictures, uint8 (b, 3, size_px, size_px), or clips (b, frames, 3, size_px, size_px), to be edited."""
        return self._pixels(self.edits.source[rows])

    def targets(self, rows: slice) -> Tensor:
        """What they should become, as :meth:`sources`."""
        return self._pixels(self.edits.target[rows])

    def masks(self, rows: slice) -> Tensor:
        """Where they may change, bool (b, size_px, size_px); one mask holds for all frames of a clip."""
        return torch.from_numpy(masks(self.edits[rows], self.size_px))

    def _pixels(self, side: Scenes | Clips) -> Tensor:
        if isinstance(side, Scenes):
            return torch.from_numpy(render(side, self.size_px))
        assert self.frames is not None  # edits of clips are drawn for a number of frames alone
        return torch.from_numpy(render_clip(side, self.frames, self.size_px))


def _captions(side: Scenes | Clips) -> list[str]:
    return captions(side) if isinstance(side, Scenes) else clip_captions(side)
