"""Cells of a grid and what is on disk about each: everything a killed run needs to go on.

A cell is one config with one seed. Its folder is named by its label, its seed and the digest of all that shapes its result, so
a changed setting is another cell, and what was done under the old one is neither lost nor mistaken for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluation import strict
from nuwa import files

CELL, DONE, FAILED, LOG, CLAIM = "cell.json", "done.json", "failed.json", "log.txt", ".claim"
DONE_SCHEMA, FAILED_SCHEMA = "nuwa-cell-done-1", "nuwa-cell-failed-1"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One config with one seed.

    ``function`` is ``"package.module:name"`` of what runs it, called as ``name(config, seed, folder, device)``; it has to go on
    with what an earlier call left in the folder. ``config`` is plain JSON. ``label`` is what tables call the config.
    """

    function: str
    label: str
    config: Mapping[str, Any]
    seed: int

    def __hash__(self) -> int:
        return int(self.hash[:16], 16)

    @property
    def hash(self) -> str:
        """Digest of function, config and seed."""
        return strict.digest({"function": self.function, "config": self.config, "seed": self.seed})

    @property
    def name(self) -> str:
        """Of the cell's folder, ``"ff-0-3f2a9c1b44"``."""
        return f"{slug(self.label)}-{self.seed}-{self.hash[:10]}"

    @property
    def said(self) -> str:
        """What people read: ``"FF, seed 0"``."""
        return f"{self.label}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Done:
    """Left by a cell that came to its end. ``seconds`` are those of the last call alone."""

    hash: str
    seconds: float
    schema: str = DONE_SCHEMA


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Left by a cell whose function raised: the reason in one sentence; the traceback stands in its log."""

    hash: str
    reason: str
    schema: str = FAILED_SCHEMA


def slug(text: str) -> str:
    """``text`` as part of a file name.

    >>> slug("NÜWA-FN, 3×3")
    'nuwa-fn-3-3'
    """
    plain = "".join(char for char in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(char))
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "cell"


def prepare(cell: Cell, cells: Path) -> Path:
    """The cell's folder below ``cells``, with ``cell.json`` in it; a failure of an earlier run is forgotten."""
    folder = cells / cell.name
    if not (folder / CELL).is_file() or read_cell(folder).hash != cell.hash:
        files.write_json(folder / CELL, asdict(cell))
    (folder / FAILED).unlink(missing_ok=True)
    return folder


def read_cell(folder: Path) -> Cell:
    """The cell that a folder belongs to. ValueError where it is none."""
    try:
        return Cell(**json.loads((folder / CELL).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / CELL}: expected a cell ({error}); remove the folder and run again") from error


def is_done(cell: Cell, folder: Path) -> bool:
    """Whether the folder holds the cell's result. ValueError where the file was changed by hand."""
    path = folder / DONE
    return path.is_file() and strict.read(path, Done, DONE_SCHEMA).hash == cell.hash


def seconds(folder: Path) -> float:
    """What the last call of a done cell took."""
    return strict.read(folder / DONE, Done, DONE_SCHEMA).seconds


def reason(cell: Cell, folder: Path) -> str | None:
    """Why the cell failed; None where it did not."""
    path = folder / FAILED
    if not path.is_file():
        return None
    failed = strict.read(path, Failed, FAILED_SCHEMA)
    return failed.reason if failed.hash == cell.hash else None


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Claim a cell's folder for the block; False where another process has it.

    The kernel lets the claim go when its process ends, however it ends. It holds between processes, on one machine or over a
    network file system with POSIX locks, so several runners may work on one grid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / CLAIM, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            yield False
        else:
            yield True
    finally:
        os.close(handle)
