"""Clips in numpy's files: one array (n, t, h, w, 3) of bytes in an npz or npy."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuwa.data.images import UnreadableImage
from nuwa.data.readers.rows import RowClip, checked
from nuwa.data.readers.sample import Collecting, Place, Stored


def rows(path: Path, found: Collecting) -> Iterator[tuple[str, Stored]]:
    """Number and clip of every row of an npy, or of the arrays of clips in an npz; those named by the split where some are."""
    where = path.relative_to(found.root).as_posix()
    try:
        for key in _keys(path, found.split):
            array = _array(path, key)
            checked(array.shape, array.dtype, path)
            for index in range(len(array)):
                yield f"{index:05d}" if key is None else f"{key}/{index:05d}", Row(path, key, index)
    except UnreadableImage as error:
        found.skip(where, error.reason)


@dataclass(frozen=True, slots=True)
class Row(RowClip):
    """One row of an array."""

    path: Path
    key: str | None
    index: int

    @property
    def places(self) -> tuple[Place, ...]:
        """The file, and the name of the array with the row."""
        return (Place(self.path, f"{self.key or 'array'}[{self.index}]"),)

    def frames(self) -> NDArray[np.uint8]:
        """All frames (t, h, w, 3)."""
        return np.array(_array(self.path, self.key)[self.index])


def _keys(path: Path, split: str) -> list[str | None]:
    if path.suffix.lower() == ".npy":
        return [None]
    opened = _open(path)
    with opened:
        names = list(opened.files)
    return [name for name in names if split in name.lower()] or list(names)


@lru_cache(maxsize=2)  # an npz can only be read as a whole
def _array(path: Path, key: str | None) -> NDArray[Any]:
    opened = _open(path)
    if key is None:
        return opened
    try:
        with opened:
            return opened[key]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UnreadableImage(path, f"{key}: {error}") from error
    except Exception as error:  # zlib's own
        raise UnreadableImage(path, f"{key} is damaged: {error}") from error


def _open(path: Path) -> Any:
    """The open npz, or the mapped npy. Pickles are refused."""
    try:
        return np.load(path, mmap_mode="r" if path.suffix.lower() == ".npy" else None, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UnreadableImage(path, str(error) or type(error).__name__) from error
