"""What a session of clips or of sketches is scored on, by the name of a dataset.

A :class:`Splits` holds one or more splits, each with its own reference: samples to generate from, with their truth, and
another take of the same scenes, whose distance to them is the floor. A dataset is one function registered in ``SPLITS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from evaluation.records import Scalar
from evaluation.sessions.samples import Samples
from nuwa.data.captioned import Captioned, Skipped
from nuwa.data.listed import WITHOUT_WORDS
from nuwa.data.sprites import world
from nuwa.data.sprites.clip_dataset import SpritesClips
from nuwa.data.sprites.dataset import SpritesPictures
from nuwa.registry import Registry
from nuwa.training.on_sprites import sprites_data
from nuwa.training.prepare import TrainingData


@dataclass(frozen=True, kw_only=True)
class Split:
    """Samples to generate from and real ones to compare with.

    Their truth may hold "maps" uint8 (m, h, w) or (m, t, h, w), "labels" int64 (m,) of what clips show, and "num_objects"
    int64 (m,).
    """

    dataset: Captioned  # what the samples are
    test: Samples
    real: Samples  # other real samples: their distance to those of ``test`` is the floor
    suffix: str = ""  # of the names of its rows


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The splits of one dataset, the one that stands for it first."""

    splits: tuple[Split, ...]
    training: Callable[[], TrainingData]  # opened only where something is to be trained
    notes: tuple[Skipped, ...] = ()  # what is left out of this evaluation, and why
    classes: tuple[str, ...] | None = None  # of the maps, by number, where there are some
    class_set: str | None = None  # family of the protocols of maps with these classes, such as "coco-things-1"
    broken: list[Skipped] = field(default_factory=list)  # what a training could not read, filled while it runs

    @property
    def wordless(self) -> bool:
        """Whether nothing is said about any test sample."""
        return all(caption == WITHOUT_WORDS for split in self.splits for caption in split.test.captions)


def said_of(dataset: Captioned) -> dict[str, Scalar]:
    """What a row says of the split that it is of, where that is not the first."""
    return {"split": dataset.split, "split_fingerprint": dataset.fingerprint}


NUM = 512  # samples of a split of sprites: a session takes a minute or two on two cores


@dataclass(frozen=True, kw_only=True)
class SplitsOptions:
    """What is asked of a dataset."""

    root: Path | None  # folder of the dataset; sprites need none
    num: int | None  # samples of each split; all that there are where None
    usual: int = NUM  # of a dataset without an end, where num is None
    size_px: int
    frames: int | None  # of a clip; None for pictures
    train_frames: int  # of the clips to train on; 1 where only pictures are learnt
    seed: int
    fps: float = 2.5  # frames a second that are read of clips of files
    sketches: bool = False  # whether the task reads segmentation maps; sprites have them in any case


SPLITS: Registry[Callable[[SplitsOptions], Splits]] = Registry("dataset")
"""By name. ValueError for one that lacks what is asked for, such as clips."""

UNSEEN = ", unseen combinations"
"""Behind the names of the rows of the split test-unseen."""

SPRITES = (("test-seen", ""), ("test-unseen", UNSEEN))
"""Splits of sprites to score, the main one first, and what stands behind the names of their rows."""


@SPLITS.register("sprites")
def sprites(options: SplitsOptions) -> Splits:
    """The embedded world: combinations that training shows, and those that it never shows."""
    num, splits = options.num or options.usual, []
    for name, suffix in SPRITES:
        test, real = (_sprites(name, num, options, take) for take in (0, 1))
        splits.append(Split(dataset=test, test=_samples(test), real=_samples(real), suffix=suffix))
    return Splits(
        splits=tuple(splits),
        training=lambda: sprites_data(options.size_px, options.train_frames),
        classes=world.CLASSES,
        class_set="sprites-1",
    )


def _sprites(split: str, num: int, options: SplitsOptions, take: int) -> SpritesPictures | SpritesClips:
    if options.frames is None:
        return SpritesPictures(split, num, options.size_px, take=take)
    return SpritesClips(split, num, options.frames, options.size_px, take=take)


def _samples(data: SpritesPictures | SpritesClips) -> Samples:
    whole = slice(None)
    if isinstance(data, SpritesPictures):
        pixels, count, labels = data.images(whole), data.scenes.num_objects, {}
    else:
        pixels, count, labels = data.clips(whole), data.shown.scenes.num_objects, {"labels": data.labels}
    truth = {"maps": data.maps(whole), "num_objects": torch.from_numpy(count), **labels}
    return Samples(pixels=pixels, ids=data.ids, captions=data.captions, truth=truth)
