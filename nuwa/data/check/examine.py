"""One sample read whole: its digest, its size, its map, and, for the contact sheet, a few small pictures."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nuwa.data.images import UnreadableImage, resize_square_labels
from nuwa.data.manifest import Entry, said
from nuwa.data.readers.sample import Facts, Listing, Sample
from nuwa.data.video import FrameRule

SHEET_RULE = FrameRule(num_frames=4, fps=1.0, short="hold")
"""Frames of a clip on the contact sheet."""


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What was found, or why nothing could be."""

    sample: Sample
    fault: str | None = None
    entry: Entry | None = None
    facts: Facts | None = None
    pixels_of: NDArray[np.int64] | None = None
    """Pixels of each class in the map, the last of them those without a class."""
    thumbnails: Tensor | None = None
    """(t, 3, size_px, size_px) uint8."""
    map: NDArray[np.int64] | None = None
    """(size_px, size_px), the first frame's."""


def examine(sample: Sample, listing: Listing, *, thumbnail_px: int | None = None) -> Examined:
    """Read all of a sample. What is damaged, and a file that changes meanwhile, is a fault and no exception."""
    try:
        before = _states(sample)
        digest, num_bytes = hashlib.sha256(), 0
        for piece in sample.stored.content():
            digest.update(piece)
            num_bytes += len(piece)
        if not num_bytes:
            raise UnreadableImage(sample.stored.places[0].path, "the file is empty")
        facts = sample.stored.facts()
        labels = None if sample.map is None else sample.map.labels()
        if labels is not None and labels.shape[-2:] != (facts.height, facts.width):
            size = f"{labels.shape[-1]} x {labels.shape[-2]}"
            raise UnreadableImage(sample.id, f"its map has {size} pixels, it has {facts.width} x {facts.height}")
        thumbnails = None if thumbnail_px is None else _thumbnails(sample, thumbnail_px)
        if _states(sample) != before:
            raise UnreadableImage(sample.stored.places[0].path, "it changed while it was read")
    except UnreadableImage as error:
        return Examined(sample=sample, fault=error.reason)
    entry = Entry(
        id=sample.id,
        paths=tuple(place.within(listing.root) for place in sample.stored.places),
        sha256=digest.hexdigest(),
        num_bytes=num_bytes,
        said=said(sample),
    )
    small = None
    if labels is not None and thumbnail_px is not None:
        first = labels if labels.ndim == 2 else labels[0]
        small = resize_square_labels(torch.from_numpy(first), thumbnail_px).numpy()
    counts = None if labels is None else np.bincount(labels.ravel() % (num_classes(listing) + 1))
    return Examined(sample=sample, entry=entry, facts=facts, pixels_of=counts, thumbnails=thumbnails, map=small)


def num_classes(listing: Listing) -> int:
    """Classes of the maps; 255 where only the numbers in the files say."""
    return len(listing.classes) or 255


def _states(sample: Sample) -> list[tuple[int, int]]:
    """Size and time of every file of a sample, its map's too."""
    places = [place.path for place in sample.stored.places] + list(sample.map.paths if sample.map else ())
    try:
        return [(status.st_size, status.st_mtime_ns) for status in map(os.stat, places)]
    except OSError as error:
        raise UnreadableImage(places[0], error.strerror or str(error)) from error


def _thumbnails(sample: Sample, size_px: int) -> Tensor:
    if sample.kind == "picture":
        return sample.stored.picture(size_px)[None]
    return sample.stored.clip(SHEET_RULE, size_px).frames
