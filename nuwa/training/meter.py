"""What a training costs, for its log: tokens a second, MFU and peak memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping

import torch

from nuwa.training.distributed import world
from nuwa.training.gpus import peak_of


class Meter:
    """Counts the tokens and operations of steps and the time that they take; checkpoints and validation lie between steps."""

    def __init__(self) -> None:
        self._tokens, self._flops, self._seconds, self._began = 0, 0, 0.0, 0.0
        peak = peak_of(torch.device("cuda")) if torch.cuda.is_available() else None
        self._peak = None if peak is None else peak * world()

    @property
    def counts(self) -> bool:
        """Whether operations are worth knowing."""
        return self._peak is not None

    def begin(self) -> None:
        """A step begins."""
        self._began = time.perf_counter()

    def end(self, tokens: int, flops: int | None) -> None:
        """It has ended, with so many tokens and model FLOPs of all processes, where the latter are known."""
        self._tokens += tokens
        self._flops += flops or 0
        self._seconds += time.perf_counter() - self._began

    def read(self) -> dict[str, float]:
        """``tokens_per_s`` since the last reading, and the peak memory in GiB so far of this process and its device.

        On GPUs whose peak is known also ``mfu``, the share of it that went into the model (:mod:`nuwa.training.flops`).
        """
        seconds, tokens, flops = max(self._seconds, 1e-9), self._tokens, self._flops
        self._tokens, self._flops, self._seconds = 0, 0, 0.0
        unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts bytes on macOS, KiB elsewhere
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
        line = {"tokens_per_s": round(tokens / seconds, 1), "peak_host_gib": round(host, 3)}
        if torch.cuda.is_initialized():
            line["peak_cuda_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 3)
            if self._peak is not None and flops:
                line["mfu"] = round(flops / seconds / self._peak, 4)
        return line


def in_short(line: Mapping[str, float]) -> str:
    """What a log line says of the step, for the progress bar.

    >>> in_short({"loss": 2.5, "gradient_norm": 0.25, "tokens_per_s": 12345.6, "mfu": 0.41, "peak_cuda_gib": 70.25})
    'loss 2.500, gradient 0.25, 12,346 tokens/s, MFU 41.0%, 70.2 GiB'
    """
    memory = line.get("peak_cuda_gib", line.get("peak_host_gib"))
    said = [
        *([f"loss {line['loss']:.3f}"] if "loss" in line else []),
        *([f"gradient {line['gradient_norm']:.2g}"] if "gradient_norm" in line else []),
        *([f"{line['tokens_per_s']:,.0f} tokens/s"] if "tokens_per_s" in line else []),
        *([f"MFU {line['mfu']:.1%}"] if "mfu" in line else []),
        *([f"{memory:.1f} GiB"] if memory is not None else []),
    ]
    return ", ".join(said)
