"""The sample sheet: caption, real sample, reconstruction and generated ones side by side, as one PNG to print.

Small pictures are enlarged by a whole factor without smoothing, so every pixel of the model's output is to be seen. Clips
become strips, frame by frame from left to right, one below the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from reports.drawing import CAPTION_LINES, enlarged, fitted, font, png, wrapped
from reports.runs import Picture, Run, Sample
from reports.style import LIGHT

MAX_SAMPLES = 16
_CELL, _GAP, _MARGIN, _LINE = 128, 8, 32, 19  # pixels
_FRAME, _NAME = 64, 150  # of a strip: the side of a frame, and the room for what it is
_MAX_FRAMES = 16  # of a strip


def sample_sheet(run: Run, count: int = MAX_SAMPLES) -> bytes:
    """The first ``count`` samples of ``run`` as PNG, two cards side by side. ValueError where the run has none."""
    if not run.samples:
        raise ValueError("expected a run with samples, got none; write samples/samples.json first")
    labels, samples = run.labels, run.samples[:count]
    strips = [{label: _frames(sample.pictures.get(label)) for label in labels} for sample in samples]
    if (longest := max(len(frames) for of_sample in strips for frames in of_sample.values())) > 1:
        return _strips(samples, strips, min(longest, _MAX_FRAMES))
    columns = 2 if len(samples) > 1 and len(labels) <= 6 else 1
    width = len(labels) * (_CELL + _GAP) - _GAP
    height = CAPTION_LINES * _LINE + 6 + _CELL + 26
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
                (centre, head - 30), fitted(label, font(13, bold=True), _CELL), LIGHT.ink, font(13, True), anchor="ma"
            )
    for i, sample in enumerate(samples):
        corner = (_MARGIN + (i % columns) * (width + 2 * _MARGIN), head + (i // columns) * height)
        _card(image, draw, sample, labels, corner, width)
    return png(image)


def _strips(samples: Sequence[Sample], strips: Sequence[Mapping[str, list[Image.Image]]], frames: int) -> bytes:
    """The sheet of clips, which all have ``frames`` frames: a strip for each label of each sample."""
    columns, labels = 2 if len(samples) > 1 and frames <= 8 else 1, list(strips[0])
    width = _NAME + frames * (_FRAME + 2) - 2
    height = CAPTION_LINES * _LINE + 6 + len(labels) * (_FRAME + 4) + 22
    rows = -(-len(samples) // columns)
    size = (2 * _MARGIN + columns * width + (columns - 1) * 2 * _MARGIN, 2 * _MARGIN + rows * height - 20)
    image = Image.new("RGB", size, LIGHT.paper)
    draw = ImageDraw.Draw(image)
    for i, (sample, of_sample) in enumerate(zip(samples, strips, strict=True)):
        left, top = _MARGIN + (i % columns) * (width + 2 * _MARGIN), _MARGIN + (i // columns) * height
        top = _caption(draw, sample.caption, (left, top), width)
        for label, found in of_sample.items():
            middle = top + _FRAME // 2
            named = wrapped(label, font(13, True), _NAME - _GAP)
            for line, text in enumerate(named):
                height_px = middle + round((line - (len(named) - 1) / 2) * (_LINE - 2))
                draw.text((left, height_px), text, LIGHT.ink, font(13, True), anchor="lm")
            for k in range(frames):
                x = left + _NAME + k * (_FRAME + 2)
                if found:  # a clip in which nothing moves is stored as one picture
                    small = enlarged(found[min(k, len(found) - 1)], _FRAME)
                    image.paste(small, (x + (_FRAME - small.width) // 2, top + (_FRAME - small.height) // 2))
                draw.rectangle((x - 1, top - 1, x + _FRAME, top + _FRAME), outline=LIGHT.grid)
            if not found:
                draw.text((left + _NAME + _GAP, middle), "missing", LIGHT.muted, font(12), anchor="lm")
            top += _FRAME + 4
    return png(image)


def _frames(picture: Picture | None) -> list[Image.Image]:
    return [] if picture is None else picture.frames()


def _caption(draw: ImageDraw.ImageDraw, caption: str, corner: tuple[int, int], width: int) -> int:
    """Write a caption that sits on what is below it; the height where that begins."""
    left, top = corner
    lines = wrapped(caption, font(14), width)
    top += (CAPTION_LINES - len(lines)) * _LINE
    for line in lines:
        draw.text((left, top), line, LIGHT.ink, font(14))
        top += _LINE
    return top + 6


def _card(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    sample: Sample,
    labels: Sequence[str],
    corner: tuple[int, int],
    width: int,
) -> None:
    left, top = corner[0], _caption(draw, sample.caption, corner, width)
    for i, label in enumerate(labels):
        x = left + i * (_CELL + _GAP)
        picture = sample.pictures.get(label)
        if picture is None:
            draw.rectangle((x, top, x + _CELL - 1, top + _CELL - 1), outline=LIGHT.grid)
            draw.text((x + _CELL // 2, top + _CELL // 2), "missing", LIGHT.muted, font(12), anchor="mm")
        else:
            small = enlarged(picture.image(), _CELL)
            left_px, top_px = x + (_CELL - small.width) // 2, top + (_CELL - small.height) // 2
            image.paste(small, (left_px, top_px))
            border = (left_px - 1, top_px - 1, left_px + small.width, top_px + small.height)
            draw.rectangle(border, outline=LIGHT.grid)  # a white picture has an edge too
