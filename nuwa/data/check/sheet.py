"""The contact sheet: some samples as a person sees them, with what is said about them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nuwa.data.check.examine import Examined

_GAP, _LINE, _MARGIN = 8, 14, 12
_TEXT_LINES = 4
_WIDTH = 1400


def contact_sheet(found: Sequence[Examined], title: str) -> Image.Image:
    """Pictures, or a few frames of each clip, maps in colours beside them, and id, class and first caption below."""
    cells = [_cell(each) for each in found]
    width = max((cell.width for cell in cells), default=_WIDTH)
    columns = max(1, (_WIDTH - 2 * _MARGIN) // (width + _GAP))
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) + _GAP for row in rows]
    size = (2 * _MARGIN + columns * (width + _GAP), 2 * _MARGIN + 2 * _LINE + sum(heights))
    sheet = Image.new("RGB", size, "white")
    ImageDraw.Draw(sheet).text((_MARGIN, _MARGIN), _plain(title), "black", font=_font(14))
    top = _MARGIN + 2 * _LINE
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (_MARGIN + column * (width + _GAP), top))
        top += height
    return sheet


def _cell(found: Examined) -> Image.Image:
    assert found.thumbnails is not None
    tiles = [Image.fromarray(frame.permute(1, 2, 0).numpy()) for frame in found.thumbnails]
    if found.map is not None:
        tiles.append(Image.fromarray(colours(found.map)))
    side = tiles[0].width
    cell = Image.new("RGB", (len(tiles) * (side + 2) - 2, side + 2 + _LINE * _TEXT_LINES), "white")
    for place, tile in enumerate(tiles):
        cell.paste(tile, (place * (side + 2), 0))
    sample, draw, font = found.sample, ImageDraw.Draw(cell), _font(11)
    said = [caption for caption in sample.captions[:1] if caption != sample.label]
    shown = [sample.id, *([f"[{sample.label}]"] if sample.label else []), *said]
    letters = max(10, cell.width // 6)
    wrapped = [line for text in shown for line in textwrap.wrap(_plain(text), letters)]
    for number, line in enumerate(wrapped[:_TEXT_LINES]):
        cut = line if number < _TEXT_LINES - 1 or len(wrapped) <= _TEXT_LINES else line[: letters - 1] + "…"
        draw.text((0, side + 2 + number * _LINE), cut, "black", font=font)
    return cell


def colours(labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A colour for every class, the same in all maps, grey for class 0, black where there is none: (h, w, 3) uint8."""
    numbers = np.arange(int(labels.max(initial=0)) + 1)
    hues = (numbers * 0.61803398875) % 1.0  # the golden ratio keeps neighbours apart
    wheel = np.abs((hues[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    table = (80 + 175 * np.clip(wheel, 0, 1)).astype(np.uint8)
    table[0] = 225  # the background, where there is one
    return np.where(labels[..., None] < 0, 0, table[labels]).astype(np.uint8)


def _plain(text: str) -> str:
    """Text that a font can draw: no control signs, no bytes that are no text."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
