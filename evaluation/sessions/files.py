"""Every dataset that has a reader as what sessions are scored on: ``--data kinetics --root DIR``.

One caption a sample, chosen as the frozen lists choose; trained on the publisher's split to train on (``nuwa.data.divide``), of
which other real samples make the floor.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from evaluation.sessions.judged import CLASS_NAMES
from evaluation.sessions.samples import Samples
from evaluation.sessions.splits import SPLITS, Split, Splits, SplitsOptions
from nuwa.data.captioned import Skipped, some
from nuwa.data.divide import divide
from nuwa.data.listed import ListedClips, ListedPictures
from nuwa.data.lists import Choice, chosen, every_caption
from nuwa.data.loading import Loaded, load
from nuwa.data.readers import READERS
from nuwa.data.readers.sample import Listing
from nuwa.data.sketches import SketchClasses
from nuwa.data.video import FrameRule
from nuwa.training.on_files import FilesData, Measured

BY_SPRITES = (
    "numbers under @sprites-1 are made by networks that have seen sprites alone; of other data they show that everything runs, "
    "not how good a model is"
)

Data = ListedPictures | ListedClips

CLASS_SETS = {"coco": "coco-things-1"}
"""Which protocols of maps name the classes of a reader's maps."""


def of_files(name: str, options: SplitsOptions) -> Splits:
    """The split that papers evaluate on, of the dataset of reader ``name``, in the size and the length of the model.

    ValueError where there is no root, no sample of the kind, fewer than two to score, or no map for a task of sketches.
    """
    if options.root is None:
        raise ValueError(f"{name}: expected --root with the dataset's files, got none; docs/data.md shows the folder")
    found = divide(name, options.root)
    notes = [*found.notes, Skipped("judges", BY_SPRITES)]
    classes = SketchClasses.of(found.test) if options.sketches else None
    listings = [_with_maps(each, notes) if options.sketches else each for each in (found.test, found.train)]
    test = _open(listings[0], chosen(listings[0], options.num, options.seed), options)
    other = _open(listings[1], chosen(listings[1], len(test), options.seed), options)
    train = _open(listings[1], every_caption(listings[1]), options)
    if len(test) < 2:
        raise ValueError(f"{name} {test.split}: expected at least two samples to score, got {len(test)}; add samples")
    read, real = (
        load(data, range(len(data)), sketch=None if classes is None else classes.read(data)) for data in (test, other)
    )
    samples = _samples(test, read)
    broken: list[Skipped] = []
    training = FilesData(
        train=train,
        measured=Measured(pixels=samples.pixels, captions=samples.captions, maps=read.maps),
        classes=classes,
        seed=options.seed,
        broken=broken,
    )
    notes += [*read.skipped, *(replace(each, id=f"{other.split} {each.id}") for each in real.skipped)]
    return Splits(
        splits=(Split(dataset=test, test=samples, real=_samples(other, real)),),
        training=training,
        notes=tuple(notes),
        classes=None if classes is None else classes.names,
        class_set=CLASS_SETS.get(name),
        broken=broken,
    )


for _name in READERS:
    SPLITS.add(_name, partial(of_files, _name))


def _open(listing: Listing, choice: Choice, options: SplitsOptions) -> Data:
    if options.frames is None:
        return ListedPictures(listing, choice, options.size_px)
    return ListedClips(listing, choice, options.size_px, FrameRule(num_frames=options.frames, fps=options.fps))


def _with_maps(listing: Listing, notes: list[Skipped]) -> Listing:
    """The samples that have a map; how many have none is noted."""
    kept = tuple(sample for sample in listing.samples if sample.map is not None)
    if lacking := [sample.id for sample in listing.samples if sample.map is None]:
        notes.append(Skipped(f"split {listing.split}", f"{len(lacking)} samples have no map: {some(lacking)}"))
    return replace(listing, samples=kept)


def _samples(data: Data, read: Loaded) -> Samples:
    labels = [data.labels[row] for row in read.rows]
    truth: dict[str, Any] = {} if read.maps is None else {"maps": read.maps}
    if None not in labels:
        truth[CLASS_NAMES] = np.array(labels)
    return Samples(
        pixels=read.pixels,
        ids=[data.ids[row] for row in read.rows],
        captions=[data.captions[row] for row in read.rows],
        truth=truth,
    )
