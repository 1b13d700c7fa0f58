"""Segmentation maps stored as png, one number a pixel; a class that does not exist makes a map unreadable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nuwa.data.images import UnreadableImage

NONE_GIVEN = -1
"""Class of a pixel that the map says nothing about."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """What the numbers in a map mean.

    Attributes:
        num_classes: the classes are 0 to ``num_classes - 1``.
        shift: what is taken from a number to get its class.
        ignored: numbers that stand for no class.
    """

    num_classes: int
    shift: int = 0
    ignored: frozenset[int] = frozenset({255})

    def classes(self, numbers: NDArray[np.integer], name: str | Path) -> NDArray[np.int64]:
        """Classes, int64 of the same shape, ``NONE_GIVEN`` for ignored numbers. UnreadableImage for other numbers."""
        found = np.unique(numbers)
        allowed = [n for n in found.tolist() if n in self.ignored or 0 <= n - self.shift < self.num_classes]
        if len(allowed) < len(found):
            unknown = sorted(set(found.tolist()) - set(allowed))
            pixels = int(np.isin(numbers, unknown).sum())
            shown = ", ".join(map(str, unknown[:5])) + (", …" if len(unknown) > 5 else "")
            raise UnreadableImage(
                name, f"unknown classes {shown} in {pixels} pixels; there are {self.num_classes} from {self.shift} on"
            )
        labels = numbers.astype(np.int64) - self.shift
        labels[np.isin(numbers, list(self.ignored))] = NONE_GIVEN
        return labels


@dataclass(frozen=True, slots=True)
class MapFiles:
    """A map, or one for each frame of a clip; all have the size of the first."""

    paths: tuple[Path, ...]
    numbering: Numbering
    frames: bool = False

    def of(self, frames: Sequence[int]) -> MapFiles:
        """The maps of some frames of a clip, one for each."""
        assert self.frames
        return replace(self, paths=tuple(self.paths[frame] for frame in frames))

    def labels(self) -> NDArray[np.int64]:
        """See :class:`nuwa.data.readers.sample.Labels`."""
        maps = [self.numbering.classes(read_numbers(path), path) for path in self.paths]
        sizes = {each.shape for each in maps}
        if len(sizes) > 1:
            raise UnreadableImage(self.paths[0].parent, f"maps of {len(sizes)} sizes")
        return np.stack(maps) if self.frames else maps[0]


@dataclass(frozen=True, slots=True)
class MapMember:
    """A map in an archive; ``read`` gives its bytes."""

    name: str
    read: Callable[[], bytes]
    numbering: Numbering
    paths: tuple[Path, ...] = ()  # the archive is the sample's own file

    def labels(self) -> NDArray[np.int64]:
        """See :class:`nuwa.data.readers.sample.Labels`."""
        return self.numbering.classes(read_numbers(self.name, self.read()), self.name)


def read_numbers(path: str | Path, data: bytes | None = None) -> NDArray[np.integer]:
    """The numbers of a png of indices or grey levels, (h, w). UnreadableImage for anything else."""
    try:
        with Image.open(path if data is None else BytesIO(data), formats=("PNG",)) as image:
            if image.mode not in ("L", "P", "I;16", "1"):
                raise UnreadableImage(path, f"a map has one number a pixel, not mode {image.mode}")
            return np.array(image)
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # damaged files make decoders raise anything
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImage(path, f"map: {reason}") from error
