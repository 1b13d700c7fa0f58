"""How good the video judge and the segmenter are on real clips and pictures: the figures in ``judges.json``."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from evaluation.judges.board import ABSENT, EMPTY, board
from evaluation.judges.pictures import SIZE_PX
from evaluation.judges.segmenter import Segmenter
from evaluation.judges.train_video import action_board
from evaluation.judges.video import VideoJudge
from nuwa.data.sprites import draw, draw_clips, render, render_clip, segment, segment_clip, world

FRAMES = 5
"""Of the clips behind all figures but ``acc_<t>_frames``."""
OTHER_FRAMES = (4, 8, 10, 16)

_BATCH = 256


def measure_video(judge: VideoJudge, split: str, count: int = 8192) -> dict[str, float]:
    """Shares in 0…1 over the first ``count`` clips of ``split``.

    ``acc``: what the main object does, also by number of objects and, over the first quarter, by number of frames.
    ``place``, ``shape``, ``colour``, ``size``, ``action`` over the places where an object starts, ``place`` over all.
    """
    clips = draw_clips(split, np.arange(count))
    right: dict[str, list[Tensor]] = {}

    def note(name: str, outcome: Tensor) -> None:
        right.setdefault(name, []).append(outcome)

    for start in range(0, count, _BATCH):
        part = clips[start : start + _BATCH]
        said, truth, does = judge(_bytes(render_clip(part, FRAMES, SIZE_PX))), board(part.scenes), action_board(part)
        acc, number = said.class_logits.argmax(dim=1) == torch.from_numpy(part.label), part.scenes.num_objects
        note("acc", acc)
        for n in range(1, world.MAX_OBJECTS + 1):
            note(f"acc_{n}", acc[torch.from_numpy(number == n)])
        there = does != ABSENT
        note("place", (said.shape_logits.argmax(dim=-1) == EMPTY) == ~there)
        note("shape", (said.shape_logits[..., 1:].argmax(dim=-1) + 1 == truth.shape)[there])
        note("colour", (said.colour_logits.argmax(dim=-1) == truth.colour)[there])
        note("size", (said.size_logits.argmax(dim=-1) == truth.size)[there])
        note("action", (said.action_logits.argmax(dim=-1) == does)[there])
        note("background", said.background_logits.argmax(dim=1) == truth.background)
        for frames in OTHER_FRAMES if 4 * start < count else ():
            other = judge(_bytes(render_clip(part, frames, SIZE_PX))).class_logits.argmax(dim=1)
            note(f"acc_{frames}_frames", other == torch.from_numpy(part.label))
    return {name: _share(torch.cat(parts)) for name, parts in right.items()}


def measure_segmenter(judge: Segmenter, split: str, count: int = 8192) -> dict[str, float]:
    """Over the first ``count`` pictures of ``split`` and the frames of as many clips by a quarter, in 0…1.

    ``pa``: share of pixels of the right class; ``miou``: intersection over union, averaged over the seven classes.
    """
    scenes, clips = draw(split, np.arange(count)), draw_clips(split, np.arange(-(-count // 4)))
    pictures = [scenes[start : start + _BATCH] for start in range(0, count, _BATCH)]
    moving = [clips[start : start + _BATCH] for start in range(0, len(clips), _BATCH)]
    parts = {
        "pictures": [(render(part, SIZE_PX), segment(part, SIZE_PX)) for part in pictures],
        "frames": [(render_clip(part, FRAMES, SIZE_PX), segment_clip(part, FRAMES, SIZE_PX)) for part in moving],
    }
    scores: dict[str, float] = {}
    for name, pairs in parts.items():
        counts = torch.zeros(len(world.CLASSES) ** 2, dtype=torch.int64)
        for pixels, truth in pairs:
            said = judge(_bytes(pixels.reshape(-1, *pixels.shape[-3:])))
            cell = _bytes(truth).long().flatten() * len(world.CLASSES) + said.flatten()
            counts += torch.bincount(cell, minlength=len(counts))
        table = counts.view(len(world.CLASSES), -1).double()
        scores[f"pa_{name}"] = round((table.trace() / table.sum()).item(), 5)
        union = table.sum(dim=0) + table.sum(dim=1) - table.diag()
        scores[f"miou_{name}"] = round((table.diag() / union).mean().item(), 4)
    return scores


def _bytes(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values)


def _share(right: Tensor) -> float:
    return round(right.double().mean().item(), 4)
