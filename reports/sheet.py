"""The sample sheet: caption, real picture, reconstruction and generated pictures side by side, as one PNG.

Small pictures are enlarged by a whole factor without smoothing, so every pixel of the model's output is to be seen.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

from reports.runs import Picture, Run, Sample
from reports.style import LIGHT, drawable

MAX_SAMPLES = 16
_CELL, _GAP, _MARGIN, _LINE = 128, 8, 32, 19  # pixels
_CAPTION_LINES = 2


def sample_sheet(run: Run, count: int = MAX_SAMPLES) -> bytes:
    """The first ``count`` samples of ``run`` as PNG, two cards side by side. ValueError where the run has none."""
    if not run.samples:
        raise ValueError("expected a run with samples, got none; write samples/samples.json first")
    labels, samples = run.labels, run.samples[:count]
    columns = 2 if len(samples) > 1 and len(labels) <= 6 else 1
    width = len(labels) * (_CELL + _GAP) - _GAP
    height = _CAPTION_LINES * _LINE + 6 + _CELL + 26
    head = _MARGIN + 34
    rows = -(-len(samples) // columns)
    size = (2 * _MARGIN + columns * width + (columns - 1) * 2 * _MARGIN, head + rows * height + _MARGIN - 20)
    image = Image.new("RGB", size, LIGHT.paper)
    draw = ImageDraw.Draw(image)
    for column in range(columns):
        left = _MARGIN + column * (width + 2 * _MARGIN)
        for i, label in enumerate(labels):
            centre = left + i * (_CELL + _GAP) + _CELL // 2
            draw.text(
                (centre, head - 30), _fit(label, _font(13, bold=True), _CELL), LIGHT.ink, _font(13, True), anchor="ma"
            )
    for i, sample in enumerate(samples):
        corner = (_MARGIN + (i % columns) * (width + 2 * _MARGIN), head + (i // columns) * height)
        _card(image, draw, sample, labels, corner, width)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _card(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    sample: Sample,
    labels: Sequence[str],
    corner: tuple[int, int],
    width: int,
) -> None:
    left, top = corner
    lines = _wrap(sample.caption, _font(14), width)
    top += (_CAPTION_LINES - len(lines)) * _LINE  # captions sit on their pictures
    for line in lines:
        draw.text((left, top), line, LIGHT.ink, _font(14))
        top += _LINE
    top += 6
    for i, label in enumerate(labels):
        x = left + i * (_CELL + _GAP)
        picture = sample.pictures.get(label)
        if picture is None:
            draw.rectangle((x, top, x + _CELL - 1, top + _CELL - 1), outline=LIGHT.grid)
            draw.text((x + _CELL // 2, top + _CELL // 2), "missing", LIGHT.muted, _font(12), anchor="mm")
        else:
            small = _enlarged(picture)
            left_px, top_px = x + (_CELL - small.width) // 2, top + (_CELL - small.height) // 2
            image.paste(small, (left_px, top_px))
            border = (left_px - 1, top_px - 1, left_px + small.width, top_px + small.height)
            draw.rectangle(border, outline=LIGHT.grid)  # a white picture has an edge too


def _enlarged(picture: Picture) -> Image.Image:
    """The picture fitted into a cell: whole factors without smoothing upwards, smoothed downwards."""
    image = picture.image()
    longest = max(image.size)
    if longest > _CELL:
        image.thumbnail((_CELL, _CELL), Image.Resampling.LANCZOS)
        return image
    factor = _CELL // longest
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """``text`` in at most two lines of ``width`` pixels; what does not fit ends in an ellipsis."""
    words, lines = drawable(text).split(" "), [""]
    for i, word in enumerate(words):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        elif len(lines) < _CAPTION_LINES and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {' '.join(words[i:])}".strip()
            break
    return [_fit(line, font, width) for line in lines]


def _fit(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """``text`` cut to ``width`` pixels."""
    text = drawable(text)[:400]
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _font(size_px: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    return ImageFont.truetype(path, size_px, layout_engine=ImageFont.Layout.BASIC)  # the same on every machine
