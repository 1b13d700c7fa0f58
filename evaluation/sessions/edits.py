"""What the sessions of text-guided manipulation share: edits of sprites with their truth, and rows to set them beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from evaluation.records import Record
from evaluation.sessions import standard
from evaluation.sessions.base import Run
from evaluation.sessions.measures import Measure, Measures
from evaluation.sessions.routes import routes, shown, staying
from evaluation.sessions.samples import Samples
from evaluation.sessions.splits import NUM, SPRITES, Split, Splits
from nuwa.data.captioned import Skipped
from nuwa.data.sprites.edit_dataset import SpritesEdits
from nuwa.tasks import TASKS
from nuwa.training.on_sprites import sprites_data


@dataclass(frozen=True, kw_only=True)
class EditOptions(standard.RowOptions):
    """What both sessions take."""

    num: int | None = None  # edits to score of each split; 512 where not given


def score_edits(state: Run, measures: Sequence[Measure]) -> Record:
    """Score all routes of the run's task on edits of sprites, under ``measures`` and those of what was to stay.

    The truth of the samples holds "edits", what was asked for, beside "given", "target" and "mask".
    """
    every = [*measures, *staying("outside the mask")]
    with state.timed("read data"):
        data = read_edits(state)
    state.skip_all(data.notes)
    return standard.score(
        state,
        data,
        lambda: Measures(every, state.device),
        routes(state),
        baselines={"unedited input": unedited},
        before={"unedited input": unedited, "given": shown},
    )


def unedited(samples: Samples) -> Tensor:
    """What is given, as it is: the row that a model without effect would have."""
    pixels: Tensor = samples.truth["given"]
    return pixels


def read_edits(state: Run) -> Splits:
    """Edits of both splits of sprites; the real row is the edited truth of the same edits in another take."""
    limits, splits = state.limits, []
    notes: list[Skipped] = []
    frames = limits.grid.t if TASKS[state.task].target == "clip" else None
    assert isinstance(state.options, EditOptions)
    for name, suffix in SPRITES if state.options.unseen else SPRITES[:1]:
        test, real = (
            SpritesEdits(name, state.options.num or NUM, frames, limits.size_px, take=take) for take in (0, 1)
        )
        samples = []
        for data, which in ((test, ""), (real, " (in the other take)")):
            found, left_out = _with_something_to_keep(_samples(data))
            samples.append(found)
            notes += [
                Skipped(each, f"the mask leaves nothing as it is{which}; that is no edit but t2i") for each in left_out
            ]
        splits.append(Split(dataset=test, test=samples[0], real=samples[1], suffix=suffix))
    return Splits(
        splits=tuple(splits), training=lambda: sprites_data(limits.size_px, limits.grid.t), notes=tuple(notes)
    )


def _samples(data: SpritesEdits) -> Samples:
    whole = slice(None)
    target = data.targets(whole)
    truth = {"given": data.sources(whole), "target": target, "mask": data.masks(whole), "edits": data.edits}
    return Samples(pixels=target, ids=data.ids, captions=data.captions, truth=truth)


def _with_something_to_keep(samples: Samples) -> tuple[Samples, list[str]]:
    """The samples whose mask does not cover everything, and the ids of the others: new ground behind small objects."""
    whole = samples.truth["mask"].flatten(1).all(1).numpy()
    kept, left_out = (np.flatnonzero(rows).tolist() for rows in (~whole, whole))
    return samples[kept], [samples.ids[row] for row in left_out]
