"""Precomputed statistics of a set: means and covariances as pytorch-fid, clean-fid, TTUR and StyleGAN2-ADA save them.

StyleGAN2-ADA saves pickles. A pickle can run any program, so only NumPy's own array constructors are let through; a
file that asks for anything else is refused.
"""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from nuwa import files

_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),  # bytes in pickles of protocol 2
}
_KEYS = ("mu", "sigma")


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Mean (d,) and covariance (d, d) of the features of a set, float64, as somebody computed them.

    ``number`` is the number of pictures where the file says so, ``ddof`` what the covariance was divided by less.
    Under which protocol they were made, only their maker knows.
    """

    name: str
    mean: Tensor
    covariance: Tensor
    number: int | None
    fingerprint: str
    """sha256 of the file."""


def is_statistics(path: Path) -> bool:
    """Whether the file holds a mean and a covariance: a pickle, or an npz with ``mu`` and without pictures."""
    if path.suffix.lower() == ".pkl":
        return True
    if path.suffix.lower() != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
    return set(_KEYS) <= names and "arr_0" not in names


def open_statistics(path: str | Path, ddof: int = 1) -> Statistics:
    """Statistics from ``*.npz`` with ``mu`` and ``sigma``, or from a ``*.pkl`` of StyleGAN2-ADA.

    A pickle holds sums, from which the covariance is made with ``ddof``. ValueError for any other content, and for a
    pickle that asks for more than arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: expected a file of statistics, found none; check the path")
    try:
        mean, covariance, number = _from_pickle(path, ddof) if path.suffix.lower() == ".pkl" else _from_npz(path)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{path}: no statistics: {error}; expected npz with mu and sigma, or a pickle of them"
        ) from error
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise ValueError(f"{path}: expected mu (d,) and sigma (d, d), got {mean.shape} and {covariance.shape}")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError(f"{path}: expected finite statistics, got NaN or infinity; compute them again")
    return Statistics(
        name=path.name,
        mean=torch.from_numpy(np.array(mean, dtype=np.float64)),
        covariance=torch.from_numpy(np.array(covariance, dtype=np.float64)),
        number=number,
        fingerprint=files.sha256(path),
    )


def _from_npz(path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], int | None]:
    with np.load(path, allow_pickle=False) as content:
        if missing := [key for key in _KEYS if key not in content]:
            raise ValueError(f"it has no {missing[0]!r} among {', '.join(content) or 'nothing'}")
        return content["mu"], content["sigma"], None


def _from_pickle(path: Path, ddof: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], int | None]:
    with path.open("rb") as handle:
        content = _Arrays(handle).load()
    if not isinstance(content, dict) or not {"num_items", "raw_mean", "raw_cov"} <= set(content):
        raise ValueError("the pickle has no num_items, raw_mean and raw_cov")
    number, total, products = content["num_items"], content["raw_mean"], content["raw_cov"]
    if not all(isinstance(value, np.ndarray) and value.dtype.kind == "f" for value in (total, products)):
        raise ValueError("raw_mean and raw_cov are no arrays of floats; it was saved without capture_mean_cov")
    number = int(number)
    if number < 2:
        raise ValueError(f"it has {number} pictures")
    mean = total.astype(np.float64) / number
    covariance = (products.astype(np.float64) - number * np.outer(mean, mean)) / (number - ddof)
    return mean, covariance, number


class _Arrays(pickle.Unpickler):
    """Reads plain values and NumPy arrays, and calls nothing else."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, and a pickle can run any program")
        return super().find_class(module, name)
