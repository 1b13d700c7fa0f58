"""What the next steps read, made by other processes while this one computes."""

from __future__ import annotations

import atexit
import os
import signal
import weakref
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from nuwa.training.distributed import world

T = TypeVar("T")

MOST_WORKERS = 8
"""Drawing sprites keeps one busy, decoding photographs several; more would take cores from the machine's other processes."""

WAITING = 2
"""Steps that each process reads ahead."""


class Ahead(Generic[T]):
    """``read(step)`` for steps in their order, as a function of the step alone; ``workers`` processes read ahead.

    The result is that of ``read`` whatever their number; with none, or where steps are asked for out of order, the first is
    read when it is asked for. The processes are forks, so ``read`` may be anything, but must leave the GPU alone. A method is
    held weakly: its owner, which holds this, then ends with its last reference, and the processes with it. Left to the garbage
    collector they would take seconds each, since it may take the queue before the message to stop.
    """

    def __init__(self, read: Callable[[int], T], steps: int, *, workers: int | None, device: torch.device) -> None:
        """``workers`` None is as many as pay on ``device``. ValueError where they are less than none."""
        workers = usual_workers(device) if workers is None else workers
        if workers < 0:
            raise ValueError(f"workers: expected 0 processes or more, got {workers}")
        bound = isinstance(read, MethodType)
        self._steps = _Steps(weakref.WeakMethod(read) if bound else lambda: read, steps)
        self._workers = workers
        self._coming: Iterator[T] | None = None
        self._next = -1

    def __getitem__(self, step: int) -> T:
        """What step ``step`` reads."""
        if not self._workers:
            return self._steps[step]
        if self._coming is None:
            atexit.register(_close, weakref.ref(self))  # before multiprocessing waits for them
        if self._coming is None or step != self._next:
            self._coming = iter(self._from(step))
        try:
            found = next(self._coming)
        except Exception as error:
            self._coming = None
            error.with_traceback(None)  # whose frames hold the processes
            self._steps[step]  # fails here too, in its own words instead of a worker's traceback
            raise
        self._next = step + 1
        if self._next == len(self._steps):
            self._coming = None  # and with it the processes
        return found

    def _from(self, step: int) -> DataLoader[T]:
        return DataLoader(
            self._steps,
            batch_size=None,
            sampler=range(step, len(self._steps)),
            num_workers=self._workers,
            prefetch_factor=WAITING,
            collate_fn=_as_it_is,
            worker_init_fn=_stay,
            multiprocessing_context="fork",
            generator=torch.Generator(),  # its own, since it draws a number that is not needed here
        )


class _Steps(Dataset[T]):
    def __init__(self, read: Callable[[], Callable[[int], T] | None], steps: int) -> None:
        self._read, self._steps = read, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> T:
        read = self._read()
        assert read is not None  # its owner holds this
        return read(step)


def _close(ahead: weakref.ref[Ahead[Any]]) -> None:
    if (found := ahead()) is not None:
        found._coming = None


def _as_it_is(found: T) -> T:
    return found


def _stay(_: int) -> None:
    """Leave it to the training to stop: schedulers send these signals to all its processes at once."""
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def usual_workers(device: torch.device) -> int:
    """None on a CPU, which has its cores for the model; on GPUs this process's share of the cores but one, at most 8."""
    if device.type != "cuda":
        return 0
    cores = len(os.sched_getaffinity(0)) // min(world(), max(1, torch.cuda.device_count()))
    return max(1, min(MOST_WORKERS, cores - 1))
