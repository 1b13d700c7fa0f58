"""Samples of every task while the model is trained: what was asked for, what it made, and what is true."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from nuwa.data.sources import Source
from nuwa.drawing import font, plain
from nuwa.system import Nuwa
from nuwa.tasks import TASKS, Target, Task
from nuwa.tokenizers.text import UnknownWordsWarning
from nuwa.training.sheets import GAP, in_colours, tile

NUM = 4
"""Samples of a task; always the same held-out ones, so that sheets can be laid beside each other."""

GREY = 128
_LINE, _MARGIN, _LINES = 13, 10, 3


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a task made of held-out samples; pixels uint8 (m, t, 3, H, W)."""

    task: Task
    shown: Tensor | None  # what was given, grey where it was hidden, or the sketch
    made: Tensor
    true: Tensor
    said: Sequence[str]


def draw(system: Nuwa, task: Task, source: Source, num: int = NUM) -> Drawn:
    """Samples of ``task`` from the first of the held-out ones, made as a user would ask for them."""
    held = source.validation
    true, said = held.pixels[:num], list(held.captions[:num])
    maps = source.sketches()[1][:num] if task.sketch else None
    given = mask = shown = None
    if task.given == "first frames":
        given = true[:, :1]
        shown = given
    elif task.given == "outside the mask":
        given, mask = true, torch.zeros(true.shape[-2:], dtype=torch.bool)
        side = true.shape[-1]
        mask[side // 4 : -(side // 4), side // 4 : -(side // 4)] = True  # the middle
        shown = true.masked_fill(mask, GREY)
    elif maps is not None:
        shown = in_colours(maps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownWordsWarning)  # validation says what the model cannot know
        made = system.generate(
            task.name, captions=said if task.text == "caption" else None, sketches=maps, given=given, mask=mask
        ).cpu()
    return Drawn(
        task=task,
        shown=None if shown is None else _clips(shown, task),
        made=_clips(made, task),
        true=_clips(true, task),
        said=said if task.text == "caption" else [""] * len(true),
    )


def task_sheet(system: Nuwa, tasks: Sequence[str], sources: Mapping[Target, Source], num: int = NUM) -> Image.Image:
    """A row for every task: of each sample what was given, what was made and, last, what is true, with its caption."""
    rows = [_row(draw(system, TASKS[name], sources[TASKS[name].target], num)) for name in tasks]
    width = max(row.width for row in rows) + 2 * _MARGIN
    sheet = Image.new("RGB", (width, sum(row.height + GAP for row in rows) + 2 * _MARGIN), "white")
    top = _MARGIN
    for row in rows:
        sheet.paste(row, (_MARGIN, top))
        top += row.height + GAP
    return sheet


def _clips(pixels: Tensor, task: Task) -> Tensor:
    return pixels[:, None] if task.target == "picture" else pixels


def _row(drawn: Drawn) -> Image.Image:
    cells = [_cell(drawn, number) for number in range(len(drawn.made))]
    width, height = sum(cell.width + 2 * GAP for cell in cells), cells[0].height
    parts = ["given"] * (drawn.shown is not None) + ["made", "true"]
    row = Image.new("RGB", (width, height + 2 * _LINE), "white")
    title = f"{drawn.task.name}, {drawn.task.title}: {', '.join(parts)}"
    ImageDraw.Draw(row).text((0, 0), plain(title), "black", font=font(12))
    left = 0
    for cell in cells:
        row.paste(cell, (left, 2 * _LINE))
        left += cell.width + 2 * GAP
    return row


def _cell(drawn: Drawn, number: int) -> Image.Image:
    shown = [] if drawn.shown is None else [drawn.shown[number]]
    strips = [tile(each) for each in (*shown, drawn.made[number], drawn.true[number])]
    width, side = sum(strip.width + 2 for strip in strips), strips[0].height
    cell = Image.new("RGB", (width, side + 2 + _LINE * _LINES), "white")
    left = 0
    for strip in strips:
        cell.paste(strip, (left, 0))
        left += strip.width + 2
    lines = textwrap.wrap(plain(drawn.said[number]), max(10, width // 6))
    for line, text in enumerate(lines[:_LINES]):
        ImageDraw.Draw(cell).text((0, side + 2 + line * _LINE), text, "black", font=font(11))
    return cell
