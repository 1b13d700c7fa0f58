"""What sessions of tasks with a mask share: a row for each route of known tokens, and the numbers of what was to stay."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from evaluation.metrics import MaskedSSIM, Unchanged
from evaluation.sessions.base import Run
from evaluation.sessions.holes import hatched
from evaluation.sessions.measures import Measure, beside
from evaluation.sessions.samples import Samples
from evaluation.sessions.standard import Way
from nuwa.system import Nuwa
from nuwa.tasks import TASKS, Route


def routes(state: Run) -> list[Way]:
    """The routes that the model was trained for, the better one first; another is skipped with its reason.

    The truth of the samples holds "given", what the model gets, and "mask", bool (m, h, w), True where it is to draw.
    """
    task, ways = TASKS[state.task], []
    for route in task.routes:
        if (learnt := task.learnt_from(route)) in state.limits.tasks:
            ways.append(Way(make=partial(_make, task.name, route), name=route, sampling={"route": route}))
        else:
            state.skip(f"route {route}", f"the model was not trained on {learnt}")
    return ways


def staying(where: str) -> list[Measure]:
    """SSIM to the target ``where`` nothing was to change, and the share of samples that came back as they were given there."""
    return [
        beside(
            lambda: MaskedSSIM(where=where),
            lambda samples: samples.pixels,
            lambda samples: samples.truth["target"],
            lambda samples: ~samples.truth["mask"],
        ),
        beside(
            Unchanged,
            lambda samples: samples.pixels,
            lambda samples: samples.truth["given"],
            lambda samples: ~samples.truth["mask"],
        ),
    ]


def shown(samples: Samples) -> Tensor:
    """What is given, with stripes where the model is to draw."""
    return hatched(samples.truth["given"], samples.truth["mask"])


def _make(task: str, route: Route, system: Nuwa, samples: Samples, **how: Any) -> Tensor:
    captions = samples.captions if TASKS[task].text == "caption" else None
    return system.generate(
        task, given=samples.truth["given"], mask=samples.truth["mask"], captions=captions, route=route, **how
    )
