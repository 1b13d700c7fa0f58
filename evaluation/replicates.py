"""Bootstrap replicates of a run's numbers, kept beside its record, so that two runs on the same samples can be paired.

Equal numbers of samples are resampled alike (:mod:`evaluation.metrics.uncertainty`), so replicate r of one run and replicate
r of another were made from the same draw, and the spread of their difference is that of the models alone.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuwa import files

REPLICATES = "replicates.npz"

Key = tuple[str, str, str]
"""Row, metric and protocol."""

Replicates = dict[Key, NDArray[np.float64]]
"""Replicates (r,) by what they are of."""

_BETWEEN = "\t"


def write_replicates(path: str | Path, found: Mapping[Key, NDArray[np.float64]]) -> None:
    """Write them atomically. ValueError for a name with a tab."""
    if strange := [key for key in found if any(_BETWEEN in part for part in key)]:
        raise ValueError(f"{path}: expected names without tabs, got {strange[0]}")
    with files.atomic(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, **{_BETWEEN.join(key): values for key, values in found.items()})  # type: ignore[arg-type]


def read_replicates(path: str | Path) -> Replicates:
    """What :func:`write_replicates` wrote. ValueError where the file is damaged or holds something else."""
    try:
        with np.load(path, allow_pickle=False) as content:
            found = {tuple(name.split(_BETWEEN)): np.asarray(content[name], dtype=np.float64) for name in content.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: expected bootstrap replicates ({error}); run the session again") from error
    if strange := [name for name, values in found.items() if len(name) != 3 or values.ndim != 1]:
        raise ValueError(f"{path}: expected rows of replicates by row, metric and protocol, got {strange[0]}")
    return {(row, metric, protocol): values for (row, metric, protocol), values in found.items()}
