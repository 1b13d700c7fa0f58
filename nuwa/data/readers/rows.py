"""Clips that are rows of an array: no file of their own, frames without a rate."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuwa.data.images import UnreadableImage
from nuwa.data.readers.sample import Facts, Stored
from nuwa.data.readers.stored import choose, squares
from nuwa.data.video import Clip, FrameRule


class RowClip(Stored):
    """A clip whose frames come as one array."""

    __slots__ = ()
    kind = "clip"

    @abc.abstractmethod
    def frames(self) -> NDArray[np.uint8]:
        """All frames, uint8 (t, h, w, 3) RGB."""

    def content(self) -> Iterator[bytes]:
        """The pixels."""
        yield np.ascontiguousarray(self.frames()).tobytes()

    def facts(self) -> Facts:
        """See :class:`Stored`."""
        frames = self.frames()
        return Facts(height=frames.shape[1], width=frames.shape[2], num_frames=len(frames))

    def clip(self, rule: FrameRule, size_px: int) -> Clip:
        """See :class:`Stored`: the first frames, one after the other."""
        frames = self.frames()
        chosen, held = choose(len(frames), None, rule, self.places[0].path)
        return Clip(squares(frames[chosen], size_px), held)


def checked(shape: tuple[int, ...], dtype: np.dtype, name: str | Path) -> None:
    """UnreadableImage unless an array is clips (n, t, h, w, 3) of bytes."""
    if len(shape) != 5 or shape[-1] != 3 or dtype != np.uint8 or 0 in shape:
        raise UnreadableImage(name, f"expected uint8 (n, t, h, w, 3), got {dtype} {tuple(shape)}")
