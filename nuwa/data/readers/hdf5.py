"""Clips in hdf5: VideoGPT's layout (frames of all clips in a row, and where each begins) or one array of clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nuwa.data.images import UnreadableImage
from nuwa.data.readers.rows import RowClip, checked
from nuwa.data.readers.sample import Collecting, Place, Stored


def rows(path: Path, found: Collecting) -> Iterator[tuple[str, Stored]]:
    """Number and clip: from ``<split>_data`` (frames, h, w, 3) and ``<split>_idx``, or from an array (n, t, h, w, 3)."""
    where = path.relative_to(found.root).as_posix()
    try:
        with h5py.File(path, "r") as file:
            yield from list(_rows(path, found.split, file))
    except UnreadableImage as error:
        found.skip(where, error.reason)
    except (OSError, KeyError, RuntimeError) as error:
        found.skip(where, f"no whole hdf5 file: {error}")


def _rows(path: Path, split: str, file: Any) -> Iterator[tuple[str, Stored]]:
    frames, begins = f"{split}_data", f"{split}_idx"
    if frames in file and begins in file:
        data, starts = file[frames], np.asarray(file[begins]).astype(np.int64)
        checked((len(starts), *data.shape), data.dtype, path)
        ends = [*starts[1:].tolist(), len(data)]
        for index, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
            if not 0 <= start < end <= len(data):
                raise UnreadableImage(path, f"{begins}[{index}] is {start}, and the next {end}, of {len(data)} frames")
            yield f"{index:05d}", Slice(path, frames, index, start, end)
        return
    arrays = [name for name in file if isinstance(file[name], h5py.Dataset)]
    named = [name for name in arrays if split in name.lower()] or arrays
    if not named:
        raise UnreadableImage(
            path, f"expected {frames} and {begins}, or an array of clips, found {', '.join(file) or 'nothing'}"
        )
    for name in named:
        checked(file[name].shape, file[name].dtype, path)
        for index in range(len(file[name])):
            yield f"{name}/{index:05d}", Slice(path, name, index, index, index)


@dataclass(frozen=True, slots=True)
class Slice(RowClip):
    """Frames ``start`` to ``end`` of a data set of frames, or row ``start`` of one of clips, where both are the same."""

    path: Path
    name: str
    index: int
    start: int
    end: int

    @property
    def places(self) -> tuple[Place, ...]:
        """The file, and the name of the data set with the number of the clip."""
        return (Place(self.path, f"{self.name}[{self.index}]"),)

    def frames(self) -> NDArray[np.uint8]:
        """All frames (t, h, w, 3)."""
        try:
            with h5py.File(self.path, "r") as file:
                part = file[self.name]
                return np.asarray(part[self.start] if self.start == self.end else part[self.start : self.end])
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise UnreadableImage(self.path, str(error)) from error
