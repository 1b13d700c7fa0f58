"""One progress bar for every long loop: what runs, how far it is, and the time that is left.

On a terminal this is tqdm's bar. Elsewhere (a log file, a pipe) a bar would be noise, so a line is written about every
30 s and a loop shorter than that stays silent. Only rank 0 of a distributed run speaks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sized
from typing import Any, TextIO, TypeVar, overload

import torch.distributed as dist
from tqdm import tqdm

T = TypeVar("T")

LINE_INTERVAL_S = 30.0
"""Seconds between two lines where stderr is no terminal."""

_LINE = "{desc}: {n_fmt}/{total_fmt} {unit} ({percentage:.0f}%), {elapsed} so far, {remaining} left{postfix}"
_LINE_WITHOUT_TOTAL = "{desc}: {n_fmt} {unit}, {elapsed} so far{postfix}"


@overload
def progress(items: Iterable[T], description: str, *, total: int | None = ..., unit: str = ...) -> tqdm[T]: ...
@overload
def progress(items: None, description: str, *, total: int | None = ..., unit: str = ...) -> tqdm[None]: ...
def progress(items: Iterable[Any] | None, description: str, *, total: int | None = None, unit: str = "it") -> tqdm[Any]:
    """Pass ``items`` on while showing how far the loop is.

    Args:
        items: what to loop over; None for a bar that the caller moves with ``update(count)``, inside ``with``.
        description: what is being done, such as ``"train tokenizer"``.
        total: number of items, where ``items`` has no length.
        unit: what is counted, such as ``"pictures"``.
    """
    silent = rank() != 0
    if sys.stderr.isatty():
        return tqdm(
            items, description, total=total, unit=f" {unit}", dynamic_ncols=True, file=sys.stderr, disable=silent
        )
    if total is None and isinstance(items, Sized):
        total = len(items)
    return tqdm(
        items,
        description,
        total=total,
        unit=unit,
        file=_Lines(sys.stderr),
        mininterval=LINE_INTERVAL_S,
        delay=LINE_INTERVAL_S,
        miniters=1,  # ask the clock every time: steps are slow, and their pace changes
        bar_format=_LINE_WITHOUT_TOTAL if total is None else _LINE,
        disable=silent,
    )


def rank() -> int:
    """Number of this process in a distributed run, 0 where there is none; before the group is formed, torchrun's."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank()
    return int(os.environ.get("RANK", "0"))


class _Lines:
    """A stream on which each state of the bar becomes a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def write(self, text: str) -> None:
        line = text.strip()
        if line and line != self._last:  # tqdm repeats the last state on closing
            self._stream.write(line + "\n")
            self._last = line

    def flush(self) -> None:
        self._stream.flush()
