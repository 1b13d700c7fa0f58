"""A blind comparison by people: what two models made of the same captions, on one page that tells nothing of the models.

The page holds each pair as pictures x and y. Which is whose stands in ``key.json``, which stays with who runs the study. Both
pictures of a pair are encoded anew in one format and size, so neither file nor look gives the model away but by what it drew;
in the browser every rater gets an order and sides of their own.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from evaluation import strict
from evaluation.samples import FRAME_MS
from reports.runs import Picture
from reports.study_sources import Model, Source

KEY_SCHEMA = "nuwa-study-1"
QUESTION = "Which of the two fits the caption better and looks better?"

Side = Literal["a", "b"]


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Which model made picture ``x`` of a pair; the other made ``y``. ``sample`` is the id that both runs know it by."""

    pair: str
    sample: str
    x: Side


@dataclass(frozen=True, kw_only=True)
class Key:
    """What the page does not tell. ``study`` names the page in every ballot."""

    study: str
    question: str
    a: Model
    b: Model
    pairs: tuple[Assignment, ...]
    schema: str = KEY_SCHEMA


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One comparison as the page shows it."""

    id: str
    caption: str
    x: Picture
    y: Picture


@dataclass(frozen=True, kw_only=True)
class Study:
    """A page's pairs in an order that says nothing, and the key to them."""

    key: Key
    pairs: tuple[Pair, ...]


def make_study(
    a: Source,
    b: Source,
    question: str = QUESTION,
    num: int | None = None,
    size_px: int | None = None,
    seed: int = 0,
) -> Study:
    """Pairs of the pictures whose id and caption both sources have.

    Args:
        a: of the model that is judged.
        b: of the one that it is compared with.
        question: what raters are asked.
        num: how many pairs at most; all where None.
        size_px: side that all pictures are resized to; where None, both models have to have drawn the same size.
        seed: of the order of the pairs and of x and y, together with the records. Equal arguments give equal studies.

    ValueError where there is no pair, both are one model, or size or number of frames would tell the models apart.
    """
    if a.model == b.model:
        raise ValueError(f"expected two models, got {a.model.name} twice; give --label-a and --label-b")
    common = [key for key in a.pictures if key in b.pictures][:num]
    if not common:
        raise ValueError(
            f"expected samples with captions that both runs have, got none in {a.model.name} and {b.model.name}; "
            "score both models on the same data"
        )
    rng = np.random.default_rng([seed, *(int(each.model.record_sha256[:8], 16) for each in (a, b))])
    order = rng.permutation(len(common))
    first = rng.permutation(np.arange(len(common)) % 2)  # as many x of one model as of the other
    pairs, assigned = [], []
    for number, (place, swap) in enumerate(zip(order.tolist(), first.tolist(), strict=True), start=1):
        sample, caption = common[place]
        shown = _alike([each.pictures[common[place]]() for each in (a, b)], sample, size_px)
        x, y = reversed(shown) if swap else shown
        pairs.append(Pair(id=f"p{number:03d}", caption=caption, x=x, y=y))
        assigned.append(Assignment(pair=f"p{number:03d}", sample=sample, x="b" if swap else "a"))
    key = Key(study=_digest(pairs, question), question=question, a=a.model, b=b.model, pairs=tuple(assigned))
    return Study(key=key, pairs=tuple(pairs))


def read_key(path: str | Path) -> Key:
    """Read ``key.json``. ValueError where it is not as written."""
    return strict.read(path, Key, KEY_SCHEMA)


def _alike(frames: Sequence[list[Image.Image]], sample: str, size_px: int | None) -> list[Picture]:
    """The two pictures in one format, of one size and with as many frames."""
    counts, sizes = [len(each) for each in frames], [each[0].size for each in frames]
    if counts[0] != counts[1]:
        raise ValueError(f"sample {sample}: expected equally many frames, got {counts[0]} and {counts[1]}; draw alike")
    if size_px is None and sizes[0] != sizes[1]:
        raise ValueError(
            f"sample {sample}: expected pictures of one size, got {sizes[0]} and {sizes[1]}, which would tell the models "
            "apart; give --size-px"
        )
    return [_encoded(each, size_px) for each in frames]


def _encoded(frames: Sequence[Image.Image], size_px: int | None) -> Picture:
    if size_px is not None:
        frames = [frame.resize((size_px, size_px), Image.Resampling.BICUBIC) for frame in frames]
    buffer = io.BytesIO()
    first, *others = frames
    if others:
        first.save(
            buffer, "WEBP", save_all=True, append_images=others, duration=FRAME_MS, loop=0, lossless=True, method=4
        )
    else:
        first.save(buffer, "PNG")
    mime = "image/webp" if others else "image/png"
    return Picture(
        data=buffer.getvalue(), mime=mime, width_px=first.width, height_px=first.height, num_frames=len(frames)
    )


def _digest(pairs: Sequence[Pair], question: str) -> str:
    """A name of what raters see, which is the same whoever made it."""
    found = hashlib.sha256(question.encode())
    for pair in pairs:
        for part in (pair.id.encode(), pair.caption.encode(), pair.x.data, pair.y.data):
            found.update(hashlib.sha256(part).digest())
    return found.hexdigest()[:16]
