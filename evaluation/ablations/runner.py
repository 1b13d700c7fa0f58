"""Runs the cells of a grid: several at once, done ones skipped, failed ones reported, and all of it killable at any time.

Nothing is kept in memory that is not on disk: a run that was killed is continued by the same command, and cells go on from
their last checkpoint. Several runners may share a folder; what one works on the others leave alone.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.ablations import cells as on_disk
from evaluation.ablations.cells import Cell
from evaluation.ablations.executors import Executor, Job
from evaluation.ablations.worker import BUSY, FINISHED
from nuwa.progress import progress

POLL_S, BUSY_S = 0.1, 5.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a grid: folders of the cells that are done, reasons of those that are not."""

    done: dict[Cell, Path] = field(default_factory=dict)
    failed: dict[Cell, str] = field(default_factory=dict)


def run_cells(
    cells: Sequence[Cell],
    folder: Path,
    executor: Executor,
    *,
    what: str = "cells",
    tell: Callable[[str], None] = print,
) -> Outcome:
    """Run the cells that are not done yet, in their order, each in ``folder/<cell.name>``.

    A cell that failed in an earlier run is tried again, once a run. ``tell`` is called with a sentence for each end. ValueError
    where two cells are the same.
    """
    _check_distinct(cells)
    outcome = Outcome()
    todo: deque[tuple[float, Cell]] = deque()
    for cell in cells:
        if on_disk.is_done(cell, folder / cell.name):
            outcome.done[cell] = folder / cell.name
        else:
            todo.append((0.0, cell))
    if skipped := len(outcome.done):
        tell(f"{what}: {skipped} of {len(cells)} are done already")
    running: dict[Job, Cell] = {}
    with progress(None, what, total=len(cells), unit="cells") as bar:
        bar.update(skipped)
        try:
            while todo or running:
                _start(todo, running, folder, executor)
                for job, cell in [*running.items()]:
                    if (code := job.poll()) is None:
                        continue
                    del running[job]
                    if code == BUSY:  # another runner has it; it may be killed, so look again later
                        todo.append((time.monotonic() + BUSY_S, cell))
                        continue
                    bar.update(1)
                    tell(_ended(cell, folder / cell.name, code, outcome))
                time.sleep(POLL_S)
        finally:
            executor.stop(list(running))
    return outcome


def _start(todo: deque[tuple[float, Cell]], running: dict[Job, Cell], folder: Path, executor: Executor) -> None:
    now = time.monotonic()
    for _ in range(len(todo)):
        if len(running) >= executor.slots:
            return
        since, cell = todo.popleft()
        if since > now:
            todo.append((since, cell))
        else:
            running[executor.start(on_disk.prepare(cell, folder))] = cell


def _ended(cell: Cell, folder: Path, code: int, outcome: Outcome) -> str:
    """Sort a cell that ended into the outcome; the sentence that says so."""
    if code == FINISHED and on_disk.is_done(cell, folder):
        outcome.done[cell] = folder
        return f"{cell.said}: done"
    why = on_disk.reason(cell, folder)
    if why is None:
        why = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    outcome.failed[cell] = why
    return f"{cell.said}: failed, {why}; {folder / on_disk.LOG} has the log"


def _check_distinct(cells: Sequence[Cell]) -> None:
    names: dict[str, Cell] = {}
    for cell in cells:
        if cell.hash in names:
            raise ValueError(
                f"{cell.said} and {names[cell.hash].said} are the same cell; ask for each config and seed once"
            )
        names[cell.hash] = cell
