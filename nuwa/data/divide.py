"""What to test on and what to train on: the publisher's splits, or halves of one where nothing says which is which."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from nuwa.data.captioned import Skipped
from nuwa.data.limits import guard
from nuwa.data.readers import READERS
from nuwa.data.readers.sample import Listing, Sample

TRAIN = ("train", "training")
TEST = ("test", "val", "validation")  # folders of datasets whose reader names no splits


@dataclass(frozen=True, kw_only=True)
class Divided:
    """Two listings without a common sample, and what has to be said about how they were found."""

    test: Listing
    train: Listing
    notes: tuple[Skipped, ...] = ()


def divide(name: str, root: str | Path) -> Divided:
    """The split that papers evaluate on and the one to train on, of the dataset of reader ``name``.

    What lies in both is tested on and never trained on. Where nothing is left to train on (there is no such split on the disk,
    or the folder names none), the split to evaluate on is divided: the first half by the sha256 of the ids, rounded up, is
    tested on and the other is trained on. A note says so.

    Raises:
        nuwa.data.limits.TooManyBroken: more than 5% of a split's lines and files are broken.
        ValueError: the dataset is not there, or has a single sample.
    """
    reader, root = READERS[name], Path(root)
    splits = reader.splits or tuple(each for each in (*TEST, *TRAIN) if (root / each).is_dir())
    test = reader(root, splits[0] if splits else None)
    _guard(test)
    wanted = [each for each in splits[1:] if each in TRAIN]
    if not wanted:
        return _halves(test, "nothing names a split to train on")
    try:
        train = reader(root, wanted[0])
    except ValueError as error:  # the publisher ships the splits apart, and this disk has one of them
        return _halves(test, str(error))
    _guard(train)
    taken = {place for sample in test.samples for place in sample.stored.places}
    apart = tuple(sample for sample in train.samples if taken.isdisjoint(sample.stored.places))
    if not apart:
        return _halves(test, f"{wanted[0]} is the same files as {test.split}")
    if common := len(train.samples) - len(apart):
        note = Skipped(f"split {train.split}", f"{common} of its samples are those of {test.split} and not trained on")
        return Divided(test=test, train=replace(train, samples=apart), notes=(note,))
    return Divided(test=test, train=train)


def _guard(listing: Listing) -> None:
    guard(f"{listing.name} {listing.split}", listing.skipped, len(listing) + len(listing.skipped))


def _halves(listing: Listing, why: str) -> Divided:
    number = len(listing)
    if number < 2:
        raise ValueError(
            f"{listing.name} {listing.split}: expected samples to test on and others to train on, got {number} in all "
            f"({why}); add samples"
        )
    first = set(sorted((sample.id for sample in listing.samples), key=_rank)[: -(-number // 2)])

    def half(which: str, *, tested: bool) -> Listing:
        samples: tuple[Sample, ...] = tuple(each for each in listing.samples if (each.id in first) == tested)
        return replace(listing, split=f"{listing.split}, {which}", samples=samples)

    test, train = half("first half", tested=True), half("second half", tested=False)
    reason = (
        f"{why}; so {listing.split} is divided by the sha256 of the ids: {len(test)} of {number} samples are tested on, "
        f"{len(train)} trained on"
    )
    return Divided(
        test=test, train=replace(train, skipped=(), missing=()), notes=(Skipped(f"split {listing.split}", reason),)
    )


def _rank(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
