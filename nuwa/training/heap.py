"""What the C library does with freed memory while a training runs on a CPU."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of mallopt(3)
MMAPS = 65_536  # glibc's own number of blocks that may be mapped one by one
MOST_MMAP_THRESHOLD = 32 << 20  # bytes: the most to which glibc raises its own threshold, as any training makes it do


def keep_freed() -> bool:
    """Have the C library keep what is freed for the next one who asks, as PyTorch does on a GPU; whether it can (glibc).

    Left alone it returns every large tensor to the system, which fills the next one with zeros page by page: up to a third
    of the time of an attention over 30,000 tokens, and nothing at 4,000, so that time seems to grow faster than the work.
    """
    if (library := _glibc()) is None:
        return False
    return bool(library.mallopt(M_MMAP_MAX, 0)) and bool(library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


@contextlib.contextmanager
def kept_heap() -> Iterator[None]:
    """Inside, freed memory is kept; afterwards it is given back, and is given back again when it is freed."""
    kept = keep_freed()
    try:
        yield
    finally:
        if kept and (library := _glibc()) is not None:
            library.mallopt(M_MMAP_MAX, MMAPS)
            library.mallopt(M_MMAP_THRESHOLD, MOST_MMAP_THRESHOLD)
            library.mallopt(M_TRIM_THRESHOLD, 2 * MOST_MMAP_THRESHOLD)
            library.malloc_trim(0)


def _glibc() -> Any:
    if sys.platform != "linux" or not hasattr(library := ctypes.CDLL(None), "mallopt"):
        return None
    return library
