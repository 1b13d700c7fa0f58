"""What an evaluation of pictures reads, by the name of a dataset: captions with real pictures, and what to train on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from nuwa import files, noise
from nuwa.data.captioned import CaptionedPictures, Skipped
from nuwa.data.coco import CocoCaptions
from nuwa.data.images import UnreadableImage
from nuwa.data.limits import guard
from nuwa.data.sources import HeldOut, Source
from nuwa.data.sprites import Scenes
from nuwa.data.sprites.dataset import SpritesPictures
from nuwa.data.streams import ShuffledStream
from nuwa.registry import Registry
from nuwa.tokenizers import perceptual
from nuwa.training.on_sprites import VALIDATION, sprites_data
from nuwa.training.prepare import TrainingData


@dataclass(frozen=True, kw_only=True)
class Tested:
    """Samples to score a model on, with a reference of their own."""

    test: Pictures  # captions to generate from, with their real pictures
    scenes: Scenes | None  # what the test captions name, where that is known
    real: Pictures  # other real pictures: their distance to those of the test captions is the floor
    real_scenes: Scenes | None

    def only(self, usable: Callable[[Sequence[str]], Sequence[bool]], reason: str) -> Self:
        """The same without the samples whose captions are not ``usable``; they are named with ``reason``."""
        test, real = (pictures.only(usable, reason) for pictures in (self.test, self.real))
        assert self.scenes is None or len(test.rows) == len(self.test.rows)  # captions of known scenes are all usable
        return replace(self, test=test, real=real)


@dataclass(frozen=True, kw_only=True)
class EvaluationData(Tested):
    """One dataset, ready to be trained on and scored against."""

    training: Callable[[], TrainingData]  # opened only where something is to be trained
    unseen: Tested | None = None  # combinations that training never shows, where the dataset has such a split
    notes: tuple[Skipped, ...] = ()  # what is left out of this evaluation, and why

    def only(self, usable: Callable[[Sequence[str]], Sequence[bool]], reason: str) -> Self:
        """See :class:`Tested`; of both splits."""
        unseen = None if self.unseen is None else self.unseen.only(usable, reason)
        return replace(super().only(usable, reason), unseen=unseen)


@dataclass(frozen=True)
class Pictures:
    """Some samples of a dataset, read once and kept as one tensor; what breaks while being read is left out and named."""

    dataset: CaptionedPictures
    rows: Sequence[int]
    left_out: tuple[Skipped, ...] = ()  # by what was asked of the captions

    def only(self, usable: Callable[[Sequence[str]], Sequence[bool]], reason: str) -> Pictures:
        """Those with a usable caption; the others are left out unread. ValueError where none is left."""
        good = usable([self.dataset.captions[row] for row in self.rows])
        kept = [row for row, each in zip(self.rows, good, strict=True) if each]
        if not kept:
            raise ValueError(
                f"{self.dataset.name} {self.dataset.split}: no caption of {len(good)} can be used: {reason}"
            )
        left_out = (
            Skipped(self.dataset.ids[row], reason) for row, each in zip(self.rows, good, strict=True) if not each
        )
        return replace(self, rows=kept, left_out=(*self.left_out, *left_out))

    @property
    def listed(self) -> dict[str, str]:
        """Captions by id, without reading a picture; one whose picture turns out to be broken is among them."""
        return {self.dataset.ids[row]: self.dataset.captions[row] for row in self.rows}

    @cached_property
    def _read(self) -> tuple[list[int], Tensor, list[Skipped]]:
        rows, pictures, skipped = [], [], []
        for row in self.rows:
            try:
                pictures.append(self.dataset.image(row))
                rows.append(row)
            except UnreadableImage as error:
                skipped.append(Skipped(self.dataset.ids[row], str(error)))
        if not rows:
            raise ValueError(f"{self.dataset.name} {self.dataset.split}: none of {len(self.rows)} pictures can be read")
        return rows, torch.stack(pictures), skipped

    def __len__(self) -> int:
        return len(self._read[0])

    @property
    def images(self) -> Tensor:
        """Pictures (m, 3, size_px, size_px) uint8."""
        return self._read[1]

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [self.dataset.ids[row] for row in self._read[0]]

    @property
    def captions(self) -> list[str]:
        """Their captions."""
        return [self.dataset.captions[row] for row in self._read[0]]

    @property
    def skipped(self) -> list[Skipped]:
        """Samples that are not among them, with the reason."""
        return [*self.dataset.skipped, *self.left_out, *self._read[2]]


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where the data is and how much of it to use."""

    root: Path | None  # folder of the dataset; sprites need none
    num: int | None  # captions to score; all where None
    size_px: int
    weights: Path | None  # folder with published network weights
    seed: int


DATASETS: Registry[Callable[[DataOptions], EvaluationData]] = Registry("dataset")


@DATASETS.register("sprites")
def sprites(options: DataOptions) -> EvaluationData:
    """The embedded world: 1,024 captions of test-seen, and as many of test-unseen, where no number is given.

    The floor is another take of the same scenes: real pictures of the same captions, which no model can do better than.
    """
    seen, unseen = (_sprites(split, options) for split in ("test-seen", "test-unseen"))
    return EvaluationData(**vars(seen), training=lambda: sprites_data(options.size_px), unseen=unseen)


def _sprites(split: str, options: DataOptions) -> Tested:
    num = options.num or 1024
    test, again = (SpritesPictures(split, num, options.size_px, take=take) for take in (0, 1))
    return Tested(
        test=Pictures(test, range(num)),
        scenes=test.scenes,
        real=Pictures(again, range(num)),
        real_scenes=again.scenes,
    )


@DATASETS.register("coco")
def coco(options: DataOptions) -> EvaluationData:
    """MS-COCO from the files it publishes: one caption a picture of val, trained on train.

    The floor is made of pictures of train.
    """
    if options.root is None:
        raise ValueError("coco: expected --root with annotations/ and the folders of pictures, got none")
    val = CocoCaptions(options.root, "val", size_px=options.size_px)
    train = CocoCaptions(options.root, "train", size_px=options.size_px)
    for each in (val, train):
        guard(f"coco {each.split}", each.skipped, len(each) + len(each.skipped))
    test = Pictures(val, _one_caption_a_picture(val, options.num, options.seed))
    other = Pictures(train, _one_caption_a_picture(train, len(test.rows), options.seed))
    vgg = options.weights / perceptual.VGG16_FILE if options.weights is not None else None
    notes = [Skipped("caption accuracy", "photographs name no attributes that a judge could check")]
    if vgg is None or not vgg.is_file():
        vgg = None
        notes.append(
            Skipped("perceptual term", f"off: {perceptual.VGG16_FILE} is not in the folder given with --weights")
        )

    def training() -> TrainingData:
        return TrainingData(
            name=f"coco {train.version} train {train.fingerprint[:16]}"
            + (f" vgg16 {files.sha256(vgg)[:8]}" if vgg else ""),
            pictures=Source(
                stream=ShuffledStream(train, options.seed),
                samples=train,
                validation=HeldOut(pixels=test.images[:VALIDATION], captions=test.captions[:VALIDATION]),
            ),
            vocabulary=train.captions,
            perceptual=perceptual.load_vgg16(vgg) if vgg else None,
        )

    return EvaluationData(test=test, scenes=None, real=other, real_scenes=None, training=training, notes=tuple(notes))


def _one_caption_a_picture(dataset: CocoCaptions, num: int | None, seed: int) -> list[int]:
    """Rows of ``num`` captions of different pictures, chosen by a hash of their ids, in the dataset's order."""
    ids = np.array([item.caption_id for item in dataset.items])
    order = np.argsort(noise.bits(noise.key("captions", seed), ids))
    chosen: dict[int, int] = {}
    for row in order.tolist():
        chosen.setdefault(dataset.items[row].image_id, row)
    return sorted(list(chosen.values())[:num])
