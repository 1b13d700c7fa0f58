"""The publishers' tables: json, csv and tsv files, every fault with its file and line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nuwa.data.readers.sample import Collecting


def read_json(path: Path) -> Any:
    """The content of a json file. ValueError where it is absent, ends in the middle or is no json."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"expected {path}, got: {error.strerror}; get it from the dataset's publisher") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is no json ({error}); get it again from the dataset's publisher") from error


def checked_rows(
    path: Path, rows: Any, fields: dict[str, type], into: Collecting
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The entries of a json list that have ``fields`` of the right types; the others are named.

    Raises:
        ValueError: there is no list.
    """
    if not isinstance(rows, list):
        raise ValueError(
            f"{path}: expected a list, got {type(rows).__name__}; get it again from the dataset's publisher"
        )
    for place, row in enumerate(rows):
        got = row if isinstance(row, dict) else {}
        wrong = [key for key, kind in fields.items() if not isinstance(got.get(key), kind)]
        if wrong:
            into.skip(f"{path.name}[{place}]", f"expected {wrong[0]!r} of type {fields[wrong[0]].__name__}")
        else:
            yield place, row


def read_lines(path: Path, into: Collecting, *, columns: int, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line of a csv or tsv file with at least ``columns`` cells; the others are named.

    Quotes count in csv files and are ordinary signs in tsv files. Empty lines are passed over.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as handle:
            lines = csv.reader(
                handle, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
            )
            while True:
                try:
                    cells = next(lines)
                except StopIteration:
                    return
                except csv.Error as error:
                    into.skip(f"{path.name}:{lines.line_num}", f"no line of a table: {error}")
                    continue
                where = f"{path.name}:{lines.line_num}"
                if not cells:
                    continue
                if len(cells) < columns:
                    into.skip(where, f"expected {columns} columns, got {len(cells)}")
                elif not all(map(is_text, cells)):
                    into.skip(where, "not UTF-8")
                else:
                    yield lines.line_num, cells
    except OSError as error:
        raise ValueError(f"expected {path}, got: {error.strerror}; get it from the dataset's publisher") from None


def is_text(text: str) -> bool:
    """Whether it came from valid UTF-8 (``surrogateescape`` keeps what did not)."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def first_that_exists(root: Path, names: Sequence[str]) -> Path | None:
    """The first of several usual places of a file, relative to ``root``."""
    return next((root / name for name in names if (root / name).is_file()), None)
