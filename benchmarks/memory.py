"""Memory: what an operation takes on top of what was there before, and what becomes of it when it is freed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of mallopt(3)


def keep_freed() -> bool:
    """Have the C library keep what is freed for the next one who asks, as PyTorch does on a GPU; whether it can (glibc).

    Left alone it returns every large tensor to the system, which fills the next one with zeros page by page: up to a third
    of the time of an attention over 30,000 tokens, and nothing at 4,000, so that time seems to grow faster than the work.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return False
    return bool(libc.mallopt(M_MMAP_MAX, 0)) and bool(libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def peak_extra_bytes(operation: Callable[[], Any], device: torch.device) -> int:
    """Most memory that is allocated at any time during ``operation`` on top of what was there before, result included."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        operation()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        result = operation()
    del result
    held = peak = 0
    for event in recorded.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak
