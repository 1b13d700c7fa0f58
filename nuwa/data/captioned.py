"""What every dataset of captioned pictures or clips offers, so that a runner need not know where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True, order=True)
class Skipped:
    """One sample that was left out, and why; result records list them."""

    id: str
    reason: str


@runtime_checkable
class Captioned(Protocol):
    """A fixed list of captioned samples. What could not be read is not in the list but in ``skipped``.

    Positions run over ``range(len(self))``, and ``ids`` and ``captions`` agree on them.
    """

    @property
    def name(self) -> str:
        """Name of the dataset, such as ``"coco"``."""

    @property
    def version(self) -> str:
        """Version or year of the dataset, such as ``"2017"``."""

    @property
    def split(self) -> str:
        """Split, such as ``"val"``."""

    @property
    def fingerprint(self) -> str:
        """sha256 over what the samples are; equal only for the same samples in the same order."""

    @property
    def ids(self) -> Sequence[str]:
        """One id per sample, unique; what is generated is filed under it."""

    @property
    def captions(self) -> Sequence[str]:
        """One caption per sample, never empty."""

    @property
    def skipped(self) -> Sequence[Skipped]:
        """Samples that were left out, with the reason."""

    def __len__(self) -> int: ...


@runtime_checkable
class CaptionedPictures(Captioned, Protocol):
    """Captioned pictures."""

    def image(self, index: int) -> Tensor:
        """Picture ``index``, uint8 (3, size_px, size_px) RGB."""


@runtime_checkable
class CaptionedClips(Captioned, Protocol):
    """Captioned clips, all of the same number of frames."""

    @property
    def frames(self) -> int:
        """Frames of every clip."""

    def clip(self, index: int) -> Tensor:
        """Clip ``index``, uint8 (t, 3, size_px, size_px) RGB."""


def some(names: Sequence[str], limit: int = 10) -> str:
    """The first ``limit`` names, with how many more there are.

    >>> some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
