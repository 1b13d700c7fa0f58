"""Captions of pictures by id, from a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath


def read_captions(path: str | Path) -> dict[str, str]:
    """Captions by id from ``*.json``, an object of ids and captions, or from ``*.csv`` / ``*.tsv`` with such columns.

    A table has a first line that names its columns ``id`` and ``caption``. ValueError for anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: expected a file of captions, found none; check the path")
    try:
        if path.suffix.lower() == ".json":
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
                raise ValueError('expected an object {"id": "caption", ...}')
        elif path.suffix.lower() in (".csv", ".tsv"):
            found = _table(path, "\t" if path.suffix.lower() == ".tsv" else ",")
        else:
            raise ValueError(f"expected json, csv or tsv, got {path.suffix or 'a file without ending'}")
    except (ValueError, csv.Error, RecursionError) as error:
        raise ValueError(f"{path}: no captions: {error}") from error
    if not found:
        raise ValueError(f"{path}: expected at least one caption, got none")
    return found


def by_sample(captions: Mapping[str, str], ids: Sequence[str]) -> dict[str, str]:
    """The captions of samples: those of their id, of their id without ending, or of the name of their file alone."""
    found = {}
    for name in ids:
        place = PurePosixPath(name)
        for candidate in (name, str(place.with_suffix("")), place.name, place.stem):
            if candidate in captions:
                found[name] = captions[candidate]
                break
    return found


def _table(path: Path, separator: str) -> dict[str, str]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        rows = csv.DictReader(handle, delimiter=separator, strict=True)
        if missing := {"id", "caption"} - set(rows.fieldnames or ()):
            raise ValueError(f"expected columns id and caption, got no {' and no '.join(sorted(missing))}")
        found: dict[str, str] = {}
        for row in rows:
            name, caption = row["id"], row["caption"]
            if name is None or caption is None:
                raise ValueError(f"line {rows.line_num}: expected an id and a caption")
            if name in found:
                raise ValueError(f"line {rows.line_num}: id {name!r} stands twice; keep one caption of each picture")
            found[name] = caption
        return found
