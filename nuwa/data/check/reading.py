"""A whole dataset read by several threads, everything counted, the manifest written along the way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nuwa.data import manifest
from nuwa.data.ahead import ahead
from nuwa.data.captioned import Skipped
from nuwa.data.check.examine import Examined, examine
from nuwa.data.check.tally import Tally
from nuwa.data.limits import MAX_BROKEN, TooManyBroken, guard
from nuwa.data.lists import lists_of
from nuwa.data.readers.sample import Listing, Sample
from nuwa.data.video import decoder
from nuwa.progress import progress

THUMBNAIL_PX = 160


def check(
    listing: Listing,
    out: Path,
    *,
    max_broken: float = MAX_BROKEN,
    num_thumbnails: int = 40,
    workers: int | None = None,
    again: Callable[[], Listing] | None = None,
) -> tuple[dict[str, Any], list[Examined]]:
    """Read every sample, write ``manifest.jsonl`` into ``out``, and return the report and what goes on the contact sheet.

    Args:
        listing: the samples.
        out: a folder.
        max_broken: largest share of samples that may be broken.
        num_thumbnails: samples for the contact sheet, chosen evenly by a hash of their ids.
        workers: threads; one a core where None.
        again: lists the dataset once more at the end, to notice files that came or went meanwhile.

    Raises:
        TooManyBroken: as soon as this is certain; there is no manifest then.
        ValueError: nothing could be read.
    """
    name, total = f"{listing.name} {listing.split}", len(listing) + len(listing.skipped)
    broken, tally, sheet = list(listing.skipped), Tally(listing), []
    guard(name, broken, total, max_broken)
    chosen = set(_evenly(listing, num_thumbnails))
    fingerprint = manifest.Fingerprint(listing.name, listing.version, listing.split)
    with manifest.writing(out / "manifest.jsonl", listing, fingerprint) as write:
        for found in _examined(listing, chosen, workers or max(1, min(16, os.cpu_count() or 1))):
            if found.entry is None:
                broken.append(Skipped(found.sample.id, found.fault or "unreadable"))
                guard(name, broken, total, max_broken)
                continue
            tally.add(found)
            write(found.entry)
            if found.thumbnails is not None:
                sheet.append(found)
        if not tally.kinds:
            raise TooManyBroken(name, broken, total, max_broken)
    faulty = {skip.id for skip in broken}
    usable = {sample.id for sample in listing.samples} - faulty
    report = {
        "dataset": listing.name,
        "version": listing.version,
        "split": listing.split,
        "fingerprint": fingerprint.value,
        "decoder": decoder() if "clip" in tally.kinds else None,
        **tally.report(),
        "broken": [asdict(skip) for skip in broken],
        "missing": [sample.id for sample in listing.missing],
        "lists": {each.name: each.choose(listing).report(usable) for each in lists_of(listing)},
        "notes": [*listing.notes, *_changes(listing, again)],
    }
    return report, sheet


def _examined(listing: Listing, chosen: set[str], workers: int) -> Iterator[Examined]:
    def one(sample: Sample) -> Examined:
        return examine(sample, listing, thumbnail_px=THUMBNAIL_PX if sample.id in chosen else None)

    found = ahead(one, listing.samples, workers, 4 * workers)
    with progress(found, f"check {listing.name} {listing.split}", total=len(listing), unit="samples") as bar:
        yield from bar


def _evenly(listing: Listing, number: int) -> list[str]:
    """Ids with the smallest hashes."""
    ids = (sample.id for sample in listing.samples)
    return sorted(ids, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())[:number]


def _changes(listing: Listing, again: Callable[[], Listing] | None) -> list[str]:
    """Files that came or went while the dataset was read."""
    if again is None:
        return []
    try:
        now = {sample.id for sample in again().samples}
    except ValueError as error:
        return [f"the folder changed while it was read: {error}"]
    before = {sample.id for sample in listing.samples}
    changes = (("came", sorted(now - before)), ("went", sorted(before - now)))
    return [
        f"{len(ids)} samples {what} while the folder was read, such as {ids[0]!r}; check it again"
        for what, ids in changes
        if ids
    ]
