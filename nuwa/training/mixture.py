"""Which task a step trains: an order that follows the weights closely and depends on the step alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nuwa.tasks import TASKS, Task

GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 spread evenly, whatever their number


@dataclass(frozen=True)
class Turn:
    """What a step does."""

    task: Task
    number: int  # steps of this kind of target before it: which batch of the data it reads


class Mixture:
    """Tasks taken in turn, each as often as its weight says: one task a step, equal tokens a step.

    The paper adds the losses of all tasks up. One task a step has the weighted sum as the expectation of its loss, at the
    cost of one task; the order spreads the tasks evenly (multiples of the golden ratio, a sequence of low discrepancy), so
    that every stretch of the training sees the mixture. Pictures and clips each go through their own data in order.

    The first ``lead`` steps take the first task alone: where it is text to image, words and looks are learnt from many more
    samples than as many clips would be, before anything moves.
    """

    def __init__(self, weights: Mapping[str, float], steps: int, *, lead: int = 0) -> None:
        tasks = [TASKS[name] for name in weights]
        if not tasks or not all(0 < weight < np.inf for weight in weights.values()):
            raise ValueError(f"tasks: expected at least one, each with a weight above 0, got {dict(weights)}")
        share = np.array(list(weights.values())) / sum(weights.values())
        self.shares = dict(zip(weights, share.tolist(), strict=True))
        if lead < 0:
            raise ValueError(f"lead: expected 0 steps or more, got {lead}")
        place = (np.arange(steps) - lead + 0.5) * GOLDEN % 1
        chosen = np.searchsorted(np.cumsum(share)[:-1], place, side="right")
        chosen[:lead] = 0
        clip = np.array([task.target == "clip" for task in tasks])[chosen]
        before = np.where(clip, np.cumsum(clip) - 1, np.cumsum(~clip) - 1)
        self._turns = [Turn(tasks[task], number) for task, number in zip(chosen.tolist(), before.tolist(), strict=True)]

    def __getitem__(self, step: int) -> Turn:
        return self._turns[step]
