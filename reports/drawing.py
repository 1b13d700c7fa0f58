"""Letters and enlarged pixels, as the pictures of samples have them: the same bytes on every machine."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageFont

from reports.style import drawable

CAPTION_LINES = 2
"""A caption has at most so many."""


def enlarged(image: Image.Image, cell: int) -> Image.Image:
    """The picture fitted into a cell: whole factors without smoothing upwards, smoothed downwards."""
    longest = max(image.size)
    if longest > cell:
        image = image.copy()
        image.thumbnail((cell, cell), Image.Resampling.LANCZOS)
        return image
    factor = cell // longest
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """``text`` in at most two lines of ``width`` pixels; what does not fit ends in an ellipsis."""
    words, lines = drawable(text).split(" "), [""]
    for i, word in enumerate(words):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        elif len(lines) < CAPTION_LINES and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {' '.join(words[i:])}".strip()
            break
    return [fitted(line, font, width) for line in lines]


def fitted(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """``text`` cut to ``width`` pixels."""
    text = drawable(text)[:400]
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def font(size_px: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Letters that come with matplotlib."""
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    return ImageFont.truetype(path, size_px, layout_engine=ImageFont.Layout.BASIC)  # the same on every machine


def png(image: Image.Image) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
