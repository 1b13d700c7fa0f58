"""Listed pictures or clips as what training reads: shuffled, with their maps, and past what is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from nuwa.data.captioned import Captioned, CaptionedClips, CaptionedPictures, Skipped
from nuwa.data.images import UnreadableImage
from nuwa.data.limits import guard
from nuwa.data.loading import pixels_of
from nuwa.data.streams import MapStream, ShuffledStream

KEPT_BYTES = 2**30
"""Of decoded samples that a stream keeps in memory; what does not fit is decoded again in every epoch."""


@runtime_checkable
class Placed(Protocol):
    """A list in which several rows may show one sample."""

    def place(self, index: int) -> str:
        """Id of the sample that row ``index`` shows: the same for each of its captions."""


class ListedStream(ShuffledStream, MapStream):
    """A fixed dataset in a new order every epoch.

    A sample that cannot be read is named in ``broken``, and the next one in the order of the epoch takes its place, so
    batches stay a function of step and size. :class:`~nuwa.data.limits.TooManyBroken` for more than 5% of them.

    Args:
        dataset: pictures or clips of :mod:`nuwa.data.listed`.
        seed: of the order.
        sketch: reads the map of a row, uint8 (h, w) or (t, h, w); None where no maps are learnt.
        broken: a list to add to.
    """

    def __init__(
        self,
        dataset: CaptionedPictures | CaptionedClips,
        seed: int = 0,
        *,
        sketch: Callable[[int], Tensor] | None = None,
        broken: list[Skipped] | None = None,
    ) -> None:
        super().__init__(dataset, seed)
        self.sketch, self.broken = sketch, [] if broken is None else broken
        self._bad: dict[str, Skipped] = {}
        self._kept: dict[str, _Decoded] = {}
        self._kept_bytes = 0
        self._last: tuple[tuple[int, int], list[tuple[int, _Decoded]]] | None = None

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        """See :class:`nuwa.data.streams.Stream`."""
        shown = self._shown(step, size)
        return torch.stack([found.pixels for _, found in shown]), [self.dataset.captions[row] for row, _ in shown]

    def maps(self, step: int, size: int) -> Tensor:
        """See :class:`nuwa.data.streams.MapStream`; of a stream with ``sketch``."""
        maps = [found.map for _, found in self._shown(step, size)]
        return torch.stack([each for each in maps if each is not None])

    def _shown(self, step: int, size: int) -> list[tuple[int, _Decoded]]:
        """Rows and what they show; those of the last call are at hand, since pixels and maps are asked for apart."""
        if self._last is None or self._last[0] != (step, size):
            positions = range(step * size, (step + 1) * size)
            self._last = (step, size), [self._readable(position) for position in positions]
        return self._last[1]

    def _readable(self, position: int) -> tuple[int, _Decoded]:
        while True:
            row = self.at(position)
            place = place_of(self.dataset, row)
            if place not in self._bad:
                try:
                    return row, self._decoded(row, place)
                except UnreadableImage as error:
                    self._bad[place] = Skipped(place, error.reason)
                    if self._bad[place] not in self.broken:  # by the stream of the same clips' frames
                        self.broken.append(self._bad[place])
                    number = len({place_of(self.dataset, each) for each in range(len(self.dataset))})
                    guard(f"{self.dataset.name} {self.dataset.split}", list(self._bad.values()), number)
            position += 1

    def _decoded(self, row: int, place: str) -> _Decoded:
        if place in self._kept:
            return self._kept[place]
        found = _Decoded(pixels_of(self.dataset, row), None if self.sketch is None else self.sketch(row))
        if self._kept_bytes + found.num_bytes <= KEPT_BYTES:
            self._kept[place] = found
            self._kept_bytes += found.num_bytes
        return found


@dataclass(frozen=True)
class _Decoded:
    pixels: Tensor
    map: Tensor | None

    @property
    def num_bytes(self) -> int:
        return self.pixels.nbytes + (0 if self.map is None else self.map.nbytes)


def place_of(dataset: Captioned, row: int) -> str:
    """Which sample a row shows, whatever its caption."""
    return dataset.place(row) if isinstance(dataset, Placed) else dataset.ids[row]
