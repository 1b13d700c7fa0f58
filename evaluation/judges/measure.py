"""How good the judges are on real pictures: the figures in ``judges.json``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from evaluation.judges.board import main_class
from evaluation.judges.clip import ClipJudge
from evaluation.judges.image import ImageJudge
from evaluation.judges.practice import CHANGES, identity, vary
from evaluation.judges.recipe import render_bytes
from evaluation.metrics.caption_accuracy import ATTRIBUTES, Outcomes, outcomes
from evaluation.protocols import sprites
from nuwa import noise
from nuwa.data.sprites import Scenes, captions, draw, world

SPLITS = ("test-seen", "test-unseen")
CANDIDATES = 256
"""Captions or pictures among which the right one has to be found."""

_BATCH = 512


def measure_image(judge: ImageJudge, split: str, count: int = 8192) -> dict[str, float]:
    """Shares in 0…1 over the first ``count`` pictures of ``split``.

    ``place``, ``shape``, ``colour``, ``size`` over objects, ``background`` and ``main`` (the main object's class) over
    pictures, ``all`` over pictures in which everything is right, also by number of objects.
    """
    scenes = draw(split, np.arange(count))
    seen, main = [], []
    for part in _parts(scenes):
        said = judge(render_bytes(part))
        seen.append(outcomes(said, part, sprites.CAPTION_ACCURACY))
        main.append(said.class_logits.argmax(dim=1) == main_class(part))
    outcome = Outcomes.cat(seen)
    return {
        **{name: _share(getattr(outcome, name)[outcome.named]) for name in ATTRIBUTES},
        "background": _share(outcome.background),
        "main": _share(torch.cat(main)),
        **_by_count("all", outcome.right, scenes),
    }


def measure_clip(judge: ClipJudge, split: str, count: int = 8192) -> dict[str, float]:
    """Shares in 0…1 over the first ``count`` pictures of ``split``, by number of objects where the name says so.

    ``image_to_text`` and ``text_to_image``: the best of :data:`CANDIDATES` fits. ``against …``: the right caption beats
    the one with one thing changed and the same wording. ``best_of_8``: a caption's picture beats seven variants.
    """
    scenes = draw(split, np.arange(count // CANDIDATES * CANDIDATES))
    images = torch.cat([judge.encode_images(render_bytes(part)) for part in _parts(scenes)])
    texts = torch.cat([judge.encode_texts(captions(part)) for part in _parts(scenes)])
    number = torch.from_numpy(identity(scenes))
    scores: dict[str, float] = {}
    for name, queries, answers in (("image_to_text", images, texts), ("text_to_image", texts, images)):
        found = [
            number[rows][(queries[rows] @ answers[rows].T).argmax(dim=1)] == number[rows]
            for rows in torch.arange(len(scenes)).split(CANDIDATES)
        ]
        scores |= _by_count(name, torch.cat(found), scenes)
    right = (images * texts).sum(dim=1)
    for change in CHANGES:
        wrong = vary(scenes, noise.key("judges", "measure", change), change=change)
        kept = torch.from_numpy((scenes.num_objects > 1) | (change not in ("swap", "drop"))) & _differ(scenes, wrong)
        cosines = (images * torch.cat([judge.encode_texts(captions(part)) for part in _parts(wrong)])).sum(dim=1)
        scores[f"against {change}"] = _share((right > cosines)[kept])
    best = torch.ones(len(scenes), dtype=torch.bool)
    for rival in range(7):
        wrong = vary(scenes, noise.key("judges", "measure", rival))
        cosines = (texts * torch.cat([judge.encode_images(render_bytes(part)) for part in _parts(wrong)])).sum(dim=1)
        best &= (right > cosines) | ~_differ(scenes, wrong)
    return scores | _by_count("best_of_8", best, scenes)


def _parts(scenes: Scenes) -> Iterator[Scenes]:
    return (scenes[start : start + _BATCH] for start in range(0, len(scenes), _BATCH))


def _differ(first: Scenes, second: Scenes) -> Tensor:
    return torch.from_numpy(identity(first) != identity(second))


def _by_count(name: str, right: Tensor, scenes: Scenes) -> dict[str, float]:
    counts = torch.from_numpy(scenes.num_objects)
    each = {f"{name}_{n}": _share(right[counts == n]) for n in range(1, world.MAX_OBJECTS + 1)}
    return {name: _share(right), **each}


def _share(right: Tensor) -> float:
    return round(right.double().mean().item(), 4)
