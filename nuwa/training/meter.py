"""What a training costs, for its log: tokens a second and peak memory."""

from __future__ import annotations

import resource
import sys
import time

import torch


class Meter:
    """Counts the tokens of steps and the time that they take; checkpoints and validation lie between steps."""

    def __init__(self) -> None:
        self._tokens, self._seconds, self._began = 0, 0.0, 0.0

    def begin(self) -> None:
        """A step begins."""
        self._began = time.perf_counter()

    def end(self, tokens: int) -> None:
        """It has ended, with so many tokens of all processes."""
        self._tokens += tokens
        self._seconds += time.perf_counter() - self._began

    def read(self) -> dict[str, float]:
        """``tokens_per_s`` since the last reading, and the peak memory in GiB so far of this process and its device."""
        rate, self._tokens, self._seconds = self._tokens / max(self._seconds, 1e-9), 0, 0.0
        unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts bytes on macOS, KiB elsewhere
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
        line = {"tokens_per_s": round(rate, 1), "peak_host_gib": round(host, 3)}
        if torch.cuda.is_initialized():
            line["peak_cuda_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 3)
        return line
