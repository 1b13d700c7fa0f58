"""Clips as pictures: the frame in the middle of each, for what learns from pictures and has clips alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from nuwa.data.captioned import Skipped
from nuwa.data.listed import ListedClips


@dataclass(frozen=True)
class MiddleFrames:
    """Follows :class:`nuwa.data.captioned.CaptionedPictures`; a frame has the caption of its clip."""

    clips: ListedClips

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self.clips.name

    @property
    def version(self) -> str:
        """Version of the dataset."""
        return self.clips.version

    @property
    def split(self) -> str:
        """Split, with what is taken of it."""
        return f"{self.clips.split}, middle frames"

    @property
    def fingerprint(self) -> str:
        """That of the clips; the split's name tells the two apart."""
        return self.clips.fingerprint

    @property
    def ids(self) -> Sequence[str]:
        """Ids of the clips."""
        return self.clips.ids

    @property
    def captions(self) -> Sequence[str]:
        """Captions of the clips."""
        return self.clips.captions

    @property
    def skipped(self) -> Sequence[Skipped]:
        """What the clips left out."""
        return self.clips.skipped

    def image(self, index: int) -> Tensor:
        """The frame in the middle of clip ``index``, uint8 (3, size_px, size_px)."""
        return self.clips.clip(index)[self.clips.frames // 2]

    def segmentation(self, index: int) -> Tensor:
        """Its map, int64 (size_px, size_px), -1 where there is no class."""
        return self.clips.segmentation(index)[self.clips.frames // 2]

    def place(self, index: int) -> str:
        """Which clip it is of."""
        return self.clips.place(index)
