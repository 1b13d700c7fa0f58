"""Randomness that belongs to a place, not to a moment.

A value depends on its key and counters alone, so a sample does not change with the batch size, the order of drawing, the
number of processes or with what else was drawn. The mixer is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014), folded once per counter.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def key(*parts: str | int) -> int:
    """A 64-bit key from names and numbers; equal parts give equal keys on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def bits(stream: int, *counters: ArrayLike) -> NDArray[np.uint64]:
    """64 random bits for every element of the broadcast ``counters`` (whole numbers >= 0)."""
    state = np.asarray(np.uint64(stream & 0xFFFFFFFFFFFFFFFF))
    with np.errstate(over="ignore"):
        for counter in counters:
            state = _mix(state + (np.asarray(counter).astype(np.uint64) + np.uint64(1)) * _GAMMA)
    return state


def uniform(stream: int, *counters: ArrayLike) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) with 53 random bits, float64, in the broadcast shape of ``counters``."""
    return (bits(stream, *counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def integers(stream: int, high: ArrayLike, *counters: ArrayLike) -> NDArray[np.int64]:
    """Uniform whole numbers in [0, high), int64."""
    return np.floor(uniform(stream, *counters) * np.asarray(high)).astype(np.int64)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
