"""Whether two numbers differ by more than chance, from nothing but the numbers and their intervals.

The interval of a difference comes from the two intervals by the method of variance estimates recovery (Zou & Donner
2008, Statistics in Medicine 27:1693), for independent estimates. Two runs on the same samples vary together, so for
them the interval is too wide rather than too narrow: a difference called clear is one.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Number(NamedTuple):
    """A value inside its 95% interval."""

    value: float
    low: float
    high: float


def difference(was: Number, now: Number) -> tuple[float, float]:
    """Bounds of now - was with 95% confidence."""
    value = now.value - was.value
    down = math.hypot(now.value - now.low, was.high - was.value)
    up = math.hypot(now.high - now.value, was.value - was.low)
    return value - down, value + up


def is_clear(was: Number, now: Number) -> bool:
    """Whether the 95% interval of the difference leaves out nought."""
    low, high = difference(was, now)
    return not low <= 0 <= high
