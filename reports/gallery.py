"""All tasks on one picture, as figure 1 of the paper has them: what the model gets, and what it makes of it.

An animated WebP in which clips play. What is shown of a task are the first samples of its run, not the best ones.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from evaluation.samples import FRAME_MS
from nuwa.tasks import TASKS
from reports.drawing import CAPTION_LINES, enlarged, font, wrapped
from reports.runs import Run, Sample
from reports.style import LIGHT, drawable

SAMPLES = 3
"""Of each task."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Labels of a task's samples on the gallery."""

    made: tuple[str, ...]  # the first of them that a run has
    given: str | None = None  # nothing but the caption where None
    told: bool = True  # whether the model reads the caption


SHOWN = {
    "t2i": Shown(made=("K = 1",)),
    "s2i": Shown(made=("sketch alone", "with caption"), given="sketch", told=False),
    "i2i": Shown(made=("masked-condition", "zero-shot"), given="given", told=False),
    "ti2i": Shown(made=("masked-condition", "zero-shot"), given="given"),
    "t2v": Shown(made=("NÜWA",)),
    "v2v": Shown(made=("NÜWA",), given="repeat the last given frame", told=False),
    "s2v": Shown(made=("sketch alone", "with caption"), given="sketches", told=False),
    "tv2v": Shown(made=("masked-condition", "zero-shot"), given="given"),
}

_CELL, _MOST, _GAP, _MARGIN, _LINE, _NAME = 96, 128, 10, 24, 16, 118  # pixels; a cell has 96 to 128
_ROOM = 18  # below a row
_HOLD_MS = 1200  # the last frame stays


def gallery(runs: Mapping[str, Run]) -> bytes | None:
    """The runs, by task, as an animated WebP; None where none has samples to show.

    A run whose samples have other labels gets a sentence in its row.
    """
    rows = [_row(name, runs[name]) for name in TASKS if name in runs]
    rows = [row for row in rows if row.samples or row.note]
    if not any(row.samples for row in rows):
        return None
    cell = _cell(rows)
    frames = [_frame(rows, number, cell) for number in range(max(row.length for row in rows))]
    durations = [FRAME_MS] * (len(frames) - 1) + [_HOLD_MS]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "WEBP", save_all=True, append_images=frames[1:], duration=durations, loop=0, lossless=True, method=4
    )
    return buffer.getvalue()


@dataclass(frozen=True, kw_only=True)
class _Row:
    task: str
    samples: list[Sample]  # that have all that is shown
    given: str | None
    made: str
    told: bool
    note: str  # instead of the samples

    @property
    def above(self) -> int:
        """Pixels for the captions."""
        return CAPTION_LINES * _LINE if self.told else 0

    @property
    def length(self) -> int:
        """Frames of the longest clip."""
        return max((len(_frames(sample, self.made)) for sample in self.samples), default=1)


def _row(task: str, run: Run) -> _Row:
    shown = SHOWN[task]
    made = next((label for label in shown.made if label in run.labels), "")
    wanted = [label for label in (shown.given, made) if label is not None]
    samples = [each for each in run.samples if all(each.pictures.get(label) for label in wanted)][:SAMPLES]
    known = made and shown.given in (None, *run.labels)
    note = "" if known or not run.samples else f"samples have other labels: {', '.join(run.labels)}"
    return _Row(task=task, samples=samples, given=shown.given, made=made, told=shown.told and not note, note=note)


def _frames(sample: Sample, label: str) -> list[Image.Image]:
    picture = sample.pictures[label]
    assert picture is not None  # _row leaves out those
    return picture.frames()


def _cell(rows: Sequence[_Row]) -> int:
    """Side of a cell, which a whole factor makes pictures of up to 128 pixels fill: 96 for 32 pixels, 128 for 64."""
    side = max(max(_shape(sample, row.made)) for row in rows for sample in row.samples)
    return min(-(-_CELL // side) * side, _MOST)


def _shape(sample: Sample, label: str) -> tuple[int, int]:
    picture = sample.pictures[label]
    assert picture is not None  # _row leaves out those
    return picture.width_px, picture.height_px


def _width(cell: int) -> int:
    """Of a sample: given, an arrow, made."""
    return 2 * cell + 4 * _GAP


def _frame(rows: Sequence[_Row], number: int, cell: int) -> Image.Image:
    """The whole gallery at frame ``number`` of its clips."""
    height, sample_width = sum(row.above + cell + _ROOM for row in rows) - _ROOM, _width(cell)
    size = (2 * _MARGIN + _NAME + SAMPLES * sample_width - 2 * _GAP, 2 * _MARGIN + height)
    image = Image.new("RGB", size, LIGHT.paper)
    draw, top = ImageDraw.Draw(image), _MARGIN
    for row in rows:
        top += row.above
        middle = top + cell // 2
        draw.text((_MARGIN, middle - 12), row.task.upper(), LIGHT.ink, font(18, bold=True), anchor="lm")
        for line, text in enumerate(wrapped(TASKS[row.task].title, font(11), _NAME - _GAP)):
            draw.text((_MARGIN, middle + 8 + 13 * line), text, LIGHT.muted, font(11), anchor="lm")
        draw.text((_MARGIN + _NAME, middle), drawable(row.note), LIGHT.muted, font(11), anchor="lm")
        for column, sample in enumerate(row.samples):
            _card(image, draw, row, sample, number, (_MARGIN + _NAME + column * sample_width, top), cell)
        top += cell + _ROOM
    return image


def _card(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    row: _Row,
    sample: Sample,
    number: int,
    corner: tuple[int, int],
    cell: int,
) -> None:
    left, top = corner
    if row.told:
        lines = wrapped(sample.caption, font(11), _width(cell) - 2 * _GAP)
        for line, text in enumerate(lines):
            draw.text((left, top - 4 - _LINE * (len(lines) - line)), text, LIGHT.ink, font(11))
    if row.given is None:
        left += (cell + 2 * _GAP) // 2  # in the middle
    else:
        _paste(image, draw, _frames(sample, row.given), number, (left, top), cell)
        left += cell + 2 * _GAP
        y = top + cell // 2
        draw.line((left - 2 * _GAP + 3, y, left - 4, y), LIGHT.muted, 2)
        draw.polygon([(left - 4, y - 4), (left - 4, y + 4), (left, y)], LIGHT.muted)
    _paste(image, draw, _frames(sample, row.made), number, (left, top), cell)


def _paste(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    frames: list[Image.Image],
    number: int,
    corner: tuple[int, int],
    cell: int,
) -> None:
    small = enlarged(frames[min(number, len(frames) - 1)], cell)
    left, top = corner[0] + (cell - small.width) // 2, corner[1] + (cell - small.height) // 2
    image.paste(small, (left, top))
    draw.rectangle((left - 1, top - 1, left + small.width, top + small.height), outline=LIGHT.grid)
