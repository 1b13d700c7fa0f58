"""What a training learns from: for pictures and for clips, a stream of fresh samples and held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from nuwa.data.captioned import CaptionedClips, CaptionedPictures
from nuwa.data.shards.stream import TokenStream
from nuwa.data.streams import MapStream, Stream


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Samples that a training measures itself on."""

    pixels: Tensor  # pictures uint8 (m, 3, h, w), or clips (m, t, 3, h, w)
    captions: Sequence[str]
    maps: Tensor | None = None  # their segmentation maps uint8 (m, h, w) or (m, t, h, w), where there are any


@dataclass(frozen=True, kw_only=True)
class Source:
    """Pictures, or clips, to learn from."""

    stream: Stream
    validation: HeldOut
    samples: CaptionedPictures | CaptionedClips | None = (
        None  # a fixed list of what the stream shows, to be encoded once
    )
    shards: TokenStream | None = None  # what the model reads in the place of the stream, where it was encoded

    def sketches(self) -> tuple[MapStream, Tensor]:
        """The stream with its maps, and held-out maps. ValueError where the data has none."""
        if not isinstance(self.stream, MapStream) or self.validation.maps is None:
            raise ValueError(
                "sketches: expected data with segmentation maps, got none; leave out the tasks s2i and s2v"
            )
        return self.stream, self.validation.maps
