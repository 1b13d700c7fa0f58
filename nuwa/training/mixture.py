"""Which task a step trains: an order that follows the weights closely and depends on the step alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nuwa.tasks import TASKS, Task

GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 spread evenly, whatever their number
BLOCK = 2**16  # steps that are laid out at once


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
        self._tasks, self._steps, self._lead = tasks, steps, lead
        self._edges = np.cumsum(share)[:-1]
        self._clips = [0]  # steps with clips before each block, as far as they were asked for
        self._laid_out: tuple[int, np.ndarray, np.ndarray] | None = None  # the block that was asked for last

    def __getitem__(self, step: int) -> Turn:
        if not 0 <= step < self._steps:
            raise IndexError(f"step: expected one of {self._steps}, got {step}")
        block, place = divmod(step, BLOCK)
        if self._laid_out is None or self._laid_out[0] != block:
            self._laid_out = (block, *self._lay_out(block))
        _, chosen, number = self._laid_out
        return Turn(self._tasks[chosen[place]], int(number[place]))

    def _lay_out(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Task and :attr:`Turn.number` of every step of a block: the paper's 50 million steps need no list."""
        while len(self._clips) <= block:
            self._clips.append(self._clips[-1] + int(self._of_clips(self._chosen(len(self._clips) - 1)).sum()))
        chosen = self._chosen(block)
        clip = self._of_clips(chosen)
        clips, pictures = self._clips[block], block * BLOCK - self._clips[block]
        number = np.where(clip, clips + np.cumsum(clip) - 1, pictures + np.cumsum(~clip) - 1)
        return chosen, number

    def _chosen(self, block: int) -> np.ndarray:
        step = np.arange(block * BLOCK, (block + 1) * BLOCK)
        place = (step - self._lead + 0.5) * GOLDEN % 1
        return np.where(step < self._lead, 0, np.searchsorted(self._edges, place, side="right"))

    def _of_clips(self, chosen: np.ndarray) -> np.ndarray:
        return np.array([task.target == "clip" for task in self._tasks])[chosen]
