"""The clock of a GPU: what the device takes, whatever Python takes to ask for it; and how fast its memory is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

ROUND_S = 0.02
"""Seconds of a round: short operations are repeated until one takes so long."""

MOST_TIMES = 50
COPIED = 2**30
HIGHEST_CLOCK = 2.5e9
"""No GPU's processors run at more cycles a second, so that waiting for a number of them takes at least as long as meant."""


class Queued:
    """Rounds of one operation between two events. The device waits until a round is queued, so it never waits within one."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._run = run
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        self._asked_s = time.perf_counter() - start
        torch.cuda.synchronize()
        self.once_s = time.perf_counter() - start
        self._times = max(1, min(MOST_TIMES, math.ceil(ROUND_S / self.once_s)))

    @property
    def round_s(self) -> float:
        """About how long a round takes, the wait at its beginning included."""
        return self._times * (self.once_s + self._asked_s)

    def round(self) -> float:
        """Seconds of the operation, the mean of one round."""
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(int(1.5 * self._asked_s * self._times * HIGHEST_CLOCK))
        start.record()
        for _ in range(self._times):
            self._run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000 / self._times


@lru_cache(maxsize=1)
def bandwidth() -> float:
    """Bytes a second that a large copy within the device's memory reads and writes, the best of ten rounds."""
    source = torch.zeros(COPIED, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    clock = Queued(lambda: target.copy_(source))
    return 2 * COPIED / min(clock.round() for _ in range(10))
