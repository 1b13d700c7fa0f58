"""Many samples of a dataset at once, decoded by several threads, with what is broken named and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa.data.ahead import ahead
from nuwa.data.captioned import Captioned, CaptionedClips, CaptionedPictures, Skipped
from nuwa.data.images import UnreadableImage
from nuwa.data.limits import MAX_BROKEN, guard
from nuwa.progress import progress


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Samples in memory; the first axes and ``rows`` agree."""

    rows: list[int]
    """Those of the dataset that could be read."""
    pixels: Tensor
    """Pictures uint8 (m, 3, h, w), or clips (m, t, 3, h, w)."""
    maps: Tensor | None
    """What ``sketch`` made of their segmentation maps, (m, h, w) or (m, t, h, w)."""
    skipped: list[Skipped]
    """Those that could not."""


def load(
    data: CaptionedPictures | CaptionedClips,
    rows: Sequence[int],
    *,
    sketch: Callable[[int], Tensor] | None = None,
    max_broken: float = MAX_BROKEN,
    workers: int = 2,
) -> Loaded:
    """Decode ``rows`` of ``data``, and with ``sketch`` the maps that it reads for each row.

    Raises:
        nuwa.data.limits.TooManyBroken: more than ``max_broken`` of them cannot be read.
        ValueError: none can.
    """

    def one(row: int) -> tuple[Tensor, Tensor | None] | Skipped:
        try:
            return pixels_of(data, row), None if sketch is None else sketch(row)
        except UnreadableImage as error:
            return Skipped(data.ids[row], error.reason)

    unit = "clips" if isinstance(data, CaptionedClips) else "pictures"
    found = ahead(one, rows, workers, 2 * workers)
    kept: list[int] = []
    pixels: list[Tensor] = []
    maps: list[Tensor] = []
    broken: list[Skipped] = []
    for row, each in zip(rows, progress(found, f"read {data.name}", total=len(rows), unit=unit), strict=True):
        if isinstance(each, Skipped):
            broken.append(each)
            guard(f"{data.name} {data.split}", broken, len(rows), max_broken)
            continue
        kept.append(row)
        pixels.append(each[0])
        if each[1] is not None:
            maps.append(each[1])
    if not kept:
        raise ValueError(f"{data.name} {data.split}: expected {unit}, got none of {len(rows)} that can be read")
    return Loaded(
        rows=kept, pixels=torch.stack(pixels), maps=None if sketch is None else torch.stack(maps), skipped=broken
    )


def pixels_of(data: Captioned, row: int) -> Tensor:
    """Clip ``row`` (t, 3, h, w) or picture ``row`` (3, h, w), uint8."""
    if isinstance(data, CaptionedClips):
        return data.clip(row)
    assert isinstance(data, CaptionedPictures)
    return data.image(row)
