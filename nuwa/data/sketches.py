"""Segmentation maps of listed samples as sketches: which classes they have, and what number a pixel without one gets.

The number of a class is what the tokenizer of sketches learns, so it is part of the data. Where the reader's class 0 is
already the background (MS-COCO) the numbers stay as they are. Elsewhere 0 means that the map says nothing of the pixel, and
class n of the reader becomes n + 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa.data.listed import ListedClips, ListedPictures
from nuwa.data.middle_frames import MiddleFrames
from nuwa.data.readers.sample import Listing

BACKGROUND = "background"
NUMBERS = 255  # classes of maps whose numbers have no names: 0 to 254, since 255 is for none


@dataclass(frozen=True)
class SketchClasses:
    """Names by the number in a sketch, the first for what is of no class."""

    names: tuple[str, ...]
    shift: int  # from the reader's numbers

    @classmethod
    def of(cls, listing: Listing) -> SketchClasses:
        """Those of a listing's maps. ValueError where it has none."""
        if not any(sample.map is not None for sample in listing.samples):
            raise ValueError(
                f"{listing.name} {listing.split}: expected segmentation maps, found none in {listing.root}; "
                "docs/data.md shows where they lie"
            )
        names = listing.classes or tuple(f"class {number}" for number in range(NUMBERS))
        return cls(names, 0) if names[0] == BACKGROUND else cls(("no class", *names), 1)

    def read(self, data: ListedPictures | ListedClips | MiddleFrames) -> Callable[[int], Tensor]:
        """Reads the sketch of a row: uint8 (h, w), or (t, h, w) of a clip, in ``range(len(names))``."""
        return lambda row: (data.segmentation(row) + self.shift).clamp_min(0).to(torch.uint8)
