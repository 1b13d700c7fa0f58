"""Listed files as training data: pictures, or clips and the frames in the middle of them, with their maps where asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from nuwa.data.captioned import Skipped
from nuwa.data.listed import ListedClips, ListedPictures
from nuwa.data.listed_stream import ListedStream
from nuwa.data.middle_frames import MiddleFrames
from nuwa.data.sketches import SketchClasses
from nuwa.data.sources import HeldOut, Source
from nuwa.training.on_sprites import VALIDATION
from nuwa.training.prepare import TrainingData


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Samples that the training measures itself on; nothing is chosen by them."""

    pixels: Tensor  # pictures uint8 (m, 3, h, w), or clips (m, t, 3, h, w)
    captions: Sequence[str]
    maps: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class FilesData:
    """Makes the training data of a listing.

    Args:
        train: every sample to learn from, once for each of its captions.
        measured: of the same kind.
        classes: of the sketches, None where none are learnt.
        seed: of the order.
        broken: gets the samples that cannot be read, while the training runs.
    """

    train: ListedPictures | ListedClips
    measured: Measured
    classes: SketchClasses | None
    seed: int
    broken: list[Skipped] = field(default_factory=list)

    def __call__(self) -> TrainingData:
        """The data; of clips it has pictures too, which the tokenizer learns from."""
        train, measured = self.train, self.measured
        count = max(1, VALIDATION // 4) if isinstance(train, ListedClips) else VALIDATION
        held_out = HeldOut(
            pixels=measured.pixels[:count],
            captions=measured.captions[:count],
            maps=None if measured.maps is None else measured.maps[:count],
        )
        clips = None
        if isinstance(train, ListedClips):
            middle = train.frames // 2
            clips = self._source(train, held_out)
            held_out = HeldOut(
                pixels=held_out.pixels[:, middle],
                captions=held_out.captions,
                maps=None if held_out.maps is None else held_out.maps[:, middle],
            )
        pictures = self._source(MiddleFrames(train) if isinstance(train, ListedClips) else train, held_out)
        return TrainingData(
            name=f"{train.name} {train.version} {train.split} {train.fingerprint[:16]}"
            + (f", {train.frames} frames" if isinstance(train, ListedClips) else ""),
            pictures=pictures,
            clips=clips,
            vocabulary=train.captions,
            perceptual=None,
        )

    def _source(self, data: ListedPictures | ListedClips | MiddleFrames, held_out: HeldOut) -> Source:
        sketch: Callable[[int], Tensor] | None = None if self.classes is None else self.classes.read(data)
        stream = ListedStream(data, self.seed, sketch=sketch, broken=self.broken)
        return Source(stream=stream, samples=data, validation=held_out)
