"""Listings as what evaluations read: one row a sample with one caption, pixels of one size, clips of one length.

>>> clips = open_clips("kinetics", ROOT, rule=FrameRule(num_frames=10, fps=2.5), size_px=128)  # doctest: +SKIP
>>> read = read_clips(clips)  # doctest: +SKIP
>>> read.clips.shape, read.captions[0]  # doctest: +SKIP
(torch.Size([400, 10, 3, 128, 128]), 'applying eye makeup')
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from nuwa.data import manifest
from nuwa.data.ahead import ahead
from nuwa.data.captioned import Skipped
from nuwa.data.images import UnreadableImage, resize_square_labels
from nuwa.data.limits import MAX_BROKEN, guard
from nuwa.data.lists import LISTS, Choice, FrozenList
from nuwa.data.readers import READERS
from nuwa.data.readers.maps import MapFiles
from nuwa.data.readers.sample import Kind, Listing, Sample
from nuwa.data.readers.stored import FrameFiles
from nuwa.data.video import FrameRule, decoder
from nuwa.progress import progress

WITHOUT_WORDS = "None"
"""Caption of a sample about which nothing is said: what the paper conditions its video prediction on (§3.3)."""


class Listed:
    """Rows of a listing; follows :class:`nuwa.data.captioned.Captioned`.

    Args:
        listing: the samples; of a checked dataset those of its manifest (:func:`nuwa.data.manifest.only`).
        kind: what is wanted; samples of the other kind are named in ``skipped``.
        choice: a frozen list's samples and captions; those that are not on the disk are named.
        size_px: side of pictures, frames and maps.

    Raises:
        ValueError: nothing is left.
    """

    def __init__(self, listing: Listing, kind: Kind, choice: Choice, size_px: int) -> None:
        self.listing, self.size_px, self.choice = listing, size_px, choice
        self.name, self.version, self.split = listing.name, listing.version, listing.split
        self.skipped = list(listing.skipped)
        there = {sample.id: sample for sample in listing.samples}
        captions = choice.captions or [None] * len(choice.samples)
        self.samples: list[Sample] = []
        self.captions: list[str] = []
        for name, place in zip(choice.samples, captions, strict=True):
            sample = there.get(name)
            if sample is None:
                self.skipped.append(Skipped(name, "named in a table but not on the disk, or broken"))
            elif sample.kind != kind:
                self.skipped.append(Skipped(name, f"a {sample.kind}, not a {kind}"))
            else:
                self.samples.append(sample)
                self.captions.append(sample.label or WITHOUT_WORDS if place is None else sample.captions[place])
        if not self.samples:
            raise ValueError(
                f"{self.name} {self.split}: expected {kind}s in {listing.root}, found none that can be used"
            )

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def ids(self) -> list[str]:
        """Ids of the samples."""
        return [sample.id for sample in self.samples]

    @property
    def labels(self) -> list[str | None]:
        """Classes, where there are some."""
        return [sample.label for sample in self.samples]

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over ids, texts, and paths and sizes of files; the manifest's has their contents."""
        digest = hashlib.sha256(json.dumps([self.name, self.version, self.split, self._pixels]).encode())
        for sample, caption in zip(self.samples, self.captions, strict=True):
            places = [[place.within(self.listing.root), place.path.stat().st_size] for place in sample.stored.places]
            digest.update(json.dumps([sample.id, caption, manifest.said(sample), places]).encode())
        return digest.hexdigest()

    @property
    def _pixels(self) -> str:
        return f"{self.size_px}px"


class ListedPictures(Listed):
    """Follows :class:`nuwa.data.captioned.CaptionedPictures`."""

    def __init__(self, listing: Listing, choice: Choice, size_px: int) -> None:
        super().__init__(listing, "picture", choice, size_px)

    def image(self, index: int) -> Tensor:
        """Picture ``index``, uint8 (3, size_px, size_px) RGB. UnreadableImage where it is damaged."""
        return self.samples[index].stored.picture(self.size_px)

    def segmentation(self, index: int) -> Tensor:
        """Class of every pixel of picture ``index``, int64 (size_px, size_px), -1 for none; names in ``listing.classes``."""
        labels = self.samples[index].map
        if labels is None:
            raise ValueError(f"{self.name} {self.split}: {self.ids[index]!r} has no segmentation map")
        return resize_square_labels(torch.from_numpy(labels.labels()), self.size_px)


class ListedClips(Listed):
    """Follows :class:`nuwa.data.captioned.CaptionedClips`."""

    def __init__(self, listing: Listing, choice: Choice, size_px: int, rule: FrameRule) -> None:
        self.rule = rule
        super().__init__(listing, "clip", choice, size_px)

    @property
    def frames(self) -> int:
        """Frames of every clip."""
        return self.rule.num_frames

    def clip(self, index: int) -> Tensor:
        """Clip ``index``, uint8 (t, 3, size_px, size_px) RGB. UnreadableImage where it is damaged or too short."""
        return self.samples[index].stored.clip(self.rule, self.size_px).frames

    def segmentation(self, index: int) -> Tensor:
        """Class of every pixel of every frame of clip ``index``, int64 (t, size_px, size_px), -1 for none."""
        sample = self.samples[index]
        if not isinstance(sample.map, MapFiles) or not isinstance(sample.stored, FrameFiles):
            raise ValueError(f"{self.name} {self.split}: {self.ids[index]!r} has no segmentation map")
        labels = torch.from_numpy(sample.map.of(sample.stored.choose(self.rule)[0]).labels())
        return torch.stack([resize_square_labels(frame, self.size_px) for frame in labels])

    @property
    def _pixels(self) -> str:
        return f"{self.size_px}px {self.rule.id} {decoder(self.rule.decoder)}"


def open_pictures(
    name: str,
    root: str | Path,
    split: str | None = None,
    *,
    size_px: int = 256,
    num: int | None = None,
    seed: int = 0,
    frozen: str | None = None,
    checked: Path | None = None,
) -> ListedPictures:
    """Pictures of a dataset by its name; arguments as for :func:`open_clips`."""
    listing, choice = _open(name, root, split, num, seed, frozen, checked)
    return ListedPictures(listing, choice, size_px)


def open_clips(
    name: str,
    root: str | Path,
    split: str | None = None,
    *,
    rule: FrameRule | None = None,
    size_px: int = 128,
    num: int | None = None,
    seed: int = 0,
    frozen: str | None = None,
    checked: Path | None = None,
) -> ListedClips:
    """Clips of a dataset by its name, one caption each, chosen by a hash of their ids.

    Args:
        name: a reader's.
        root: the dataset's folder.
        split: the one to evaluate on where None.
        rule: which frames; ten at 2.5 a second where None.
        size_px: side of the frames.
        num: how many samples, all where None.
        seed: of the choice of samples and captions.
        frozen: name of a frozen list, which takes the place of ``num`` and ``seed``.
        checked: manifest that ``nox -s data -- check`` wrote; only its samples are used.

    Raises:
        nuwa.data.limits.TooManyBroken: more than 5% of the tables' lines and of the files that were looked at are broken.
        ValueError: something is unknown, absent, or not what the manifest or the list was made for.
    """
    listing, choice = _open(name, root, split, num, seed, frozen, checked)
    return ListedClips(listing, choice, size_px, rule or FrameRule())


@dataclass(frozen=True)
class ReadClips:
    """Clips in memory, with what is said about them; lists and the first axis agree."""

    ids: list[str]
    captions: list[str]
    labels: list[str | None]
    clips: Tensor
    """(m, t, 3, h, w) uint8 RGB."""
    skipped: list[Skipped]


def read_clips(
    data: ListedClips, rows: Sequence[int] | None = None, *, max_broken: float = MAX_BROKEN, workers: int = 2
) -> ReadClips:
    """Decode ``rows`` of ``data``, all where None, several at a time.

    Raises:
        nuwa.data.limits.TooManyBroken: more than ``max_broken`` of them cannot be read.
        ValueError: none can.
    """
    rows = range(len(data)) if rows is None else rows

    def one(row: int) -> Tensor | Skipped:
        try:
            return data.clip(row)
        except UnreadableImage as error:
            return Skipped(data.ids[row], error.reason)

    found = ahead(one, rows, workers, 2 * workers)
    kept: list[int] = []
    clips: list[Tensor] = []
    broken: list[Skipped] = []
    for row, each in zip(rows, progress(found, f"read {data.name}", total=len(rows), unit="clips"), strict=True):
        if isinstance(each, Skipped):
            broken.append(each)
            guard(f"{data.name} {data.split}", broken, len(rows), max_broken)
        else:
            kept.append(row)
            clips.append(each)
    if not clips:
        raise ValueError(f"{data.name} {data.split}: expected clips, got none of {len(rows)} that can be read")
    return ReadClips(
        ids=[data.ids[row] for row in kept],
        captions=[data.captions[row] for row in kept],
        labels=[data.labels[row] for row in kept],
        clips=torch.stack(clips),
        skipped=[*data.skipped, *broken],
    )


def _open(
    name: str, root: str | Path, split: str | None, num: int | None, seed: int, frozen: str | None, checked: Path | None
) -> tuple[Listing, Choice]:
    listing = READERS[name](root, split)
    guard(f"{name} {listing.split}", listing.skipped, len(listing) + len(listing.skipped))
    if frozen is not None:
        rule = LISTS[frozen]
        if (rule.dataset, rule.split) != (listing.name, listing.split) or rule.version not in ("", listing.version):
            wanted = f"{rule.dataset} {rule.version} {rule.split}".replace("  ", " ")
            raise ValueError(f"list {frozen!r} is over {wanted}, not {listing.name} {listing.version} {listing.split}")
    else:
        named = (*listing.samples, *listing.missing)
        said = any(sample.captions for sample in named)
        rule = FrozenList(
            name="",
            dataset=name,
            version=listing.version,
            split=listing.split,
            number=len(named) if num is None else num,
            rule="one caption a sample" if said else "every sample",
            seed=seed,
        )
    choice = rule.choose(listing)  # by the tables, so before the manifest takes out what is not on the disk
    return (listing if checked is None else manifest.only(listing, manifest.read(checked))), choice
