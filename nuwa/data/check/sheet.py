"""The contact sheet: some samples as a person sees them, with what is said about them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw

from nuwa.data.check.examine import Examined
from nuwa.drawing import colours, font, plain

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
    ImageDraw.Draw(sheet).text((_MARGIN, _MARGIN), plain(title), "black", font=font(14))
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
    sample, draw, face = found.sample, ImageDraw.Draw(cell), font(11)
    said = [caption for caption in sample.captions[:1] if caption != sample.label]
    shown = [sample.id, *([f"[{sample.label}]"] if sample.label else []), *said]
    letters = max(10, cell.width // 6)
    wrapped = [line for text in shown for line in textwrap.wrap(plain(text), letters)]
    for number, line in enumerate(wrapped[:_TEXT_LINES]):
        cut = line if number < _TEXT_LINES - 1 or len(wrapped) <= _TEXT_LINES else line[: letters - 1] + "…"
        draw.text((0, side + 2 + number * _LINE), cut, "black", font=face)
    return cell
