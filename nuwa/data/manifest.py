"""Manifests: which samples a dataset has on this disk, each with its files and their sha256. Evaluations are run on them.

A manifest is a text file of json lines: a head, one line a sample, and a last line with their number and the fingerprint.
The fingerprint is the sha256 over id, content and text of every sample in order, so two users who have the same one
evaluate the same things, wherever their files lie.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nuwa import files
from nuwa.data.captioned import some
from nuwa.data.readers.sample import Listing, Sample

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One sample."""

    id: str
    paths: tuple[str, ...]
    """Its files relative to the root, with slashes; behind ``#`` the member or row of a file that holds several samples."""
    sha256: str
    """Of its content as stored, files of a clip one after the other."""
    num_bytes: int
    said: str
    """sha256 of captions, their ids and the class."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest as read."""

    dataset: str
    version: str
    split: str
    fingerprint: str
    entries: tuple[Entry, ...]


def said(sample: Sample) -> str:
    """Digest of what is said about a sample."""
    text = json.dumps([sample.captions, sample.caption_ids, sample.label])
    return hashlib.sha256(text.encode()).hexdigest()


class Fingerprint:
    """The fingerprint of entries given one by one."""

    def __init__(self, dataset: str, version: str, split: str) -> None:
        self._digest = hashlib.sha256(json.dumps([dataset, version, split]).encode())

    def add(self, entry: Entry) -> None:
        """One more."""
        self._digest.update(json.dumps([entry.id, entry.sha256, entry.said]).encode())

    @property
    def value(self) -> str:
        """So far."""
        return self._digest.hexdigest()


@contextmanager
def writing(path: Path, listing: Listing, fingerprint: Fingerprint) -> Iterator[Callable[[Entry], None]]:
    """Write a manifest sample by sample; the file is there, whole, when the block ends without an error."""
    with files.atomic(path) as temporary, temporary.open("w", encoding="ascii") as handle:
        head = {"schema": SCHEMA, "dataset": listing.name, "version": listing.version, "split": listing.split}
        handle.write(json.dumps(head) + "\n")
        count = 0

        def add(entry: Entry) -> None:
            nonlocal count
            handle.write(json.dumps(asdict(entry)) + "\n")  # ascii: names may hold newlines and bytes that are no text
            fingerprint.add(entry)
            count += 1

        yield add
        handle.write(json.dumps({"samples": count, "fingerprint": fingerprint.value}) + "\n")


def read(path: Path) -> Manifest:
    """Read a manifest. ValueError where it is absent, cut, of another schema, or was changed by hand."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
        head, rows, last = lines[0], lines[1:-1], lines[-1]
        entries = tuple(Entry(**{**row, "paths": tuple(row["paths"])}) for row in rows)
        dataset, version, split, schema = (head[key] for key in ("dataset", "version", "split", "schema"))
        count, expected = last["samples"], last["fingerprint"]
    except OSError as error:
        raise ValueError(
            f"expected a manifest at {path}, got: {error.strerror}; make it with nox -s data -- check"
        ) from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path} is no whole manifest ({error}); make it again with nox -s data -- check") from error
    fingerprint = Fingerprint(dataset, version, split)
    for entry in entries:
        fingerprint.add(entry)
    if schema != SCHEMA or count != len(entries) or expected != fingerprint.value:
        raise ValueError(f"{path}: its lines do not add up to its fingerprint; make it again with nox -s data -- check")
    return Manifest(dataset=dataset, version=version, split=split, fingerprint=expected, entries=entries)


def only(listing: Listing, manifest: Manifest) -> Listing:
    """The samples of a manifest, in its order. ValueError where one is no longer there or is said something else about."""
    ours, theirs = ((each.version, each.split) for each in (listing, manifest))
    if (listing.name, *ours) != (manifest.dataset, *theirs):
        raise ValueError(
            f"manifest: expected one of {listing.name} {' '.join(ours)}, got one of {manifest.dataset} {' '.join(theirs)}"
        )
    there = {sample.id: sample for sample in listing.samples}
    absent = [entry.id for entry in manifest.entries if entry.id not in there]
    if absent:
        raise ValueError(
            f"manifest: {len(absent)} of {len(manifest.entries)} samples are not in {listing.root}: {some(absent)}; "
            f"put them back, or make a new manifest with nox -s data -- check"
        )
    samples = tuple(there[entry.id] for entry in manifest.entries)
    changed = [entry.id for entry, each in zip(manifest.entries, samples, strict=True) if said(each) != entry.said]
    if changed:
        raise ValueError(f"manifest: captions or classes of {len(changed)} samples are others now: {some(changed)}")
    return replace(listing, samples=samples)


def to_json(value: Any) -> Any:
    """``value`` with every text made fit for UTF-8: bytes of names that are no text become ``\\udcXX`` in letters."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {to_json(key): to_json(each) for key, each in value.items()}
    return [to_json(each) for each in value] if isinstance(value, list | tuple) else value
