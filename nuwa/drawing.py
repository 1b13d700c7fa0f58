"""What all sheets of pictures share: text that can be drawn, and maps in colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont


def colours(labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A colour for every class, the same in all maps, grey for class 0, black where there is none: (h, w, 3) uint8."""
    numbers = np.arange(int(labels.max(initial=0)) + 1)
    hues = (numbers * 0.61803398875) % 1.0  # the golden ratio keeps neighbours apart
    wheel = np.abs((hues[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    table = (80 + 175 * np.clip(wheel, 0, 1)).astype(np.uint8)
    table[0] = 225  # the background, where there is one
    return np.where(labels[..., None] < 0, 0, table[labels]).astype(np.uint8)


def plain(text: str) -> str:
    """Text that a font can draw: no control signs, no bytes that are no text."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The one that comes with Pillow."""
    return ImageFont.load_default(size)
