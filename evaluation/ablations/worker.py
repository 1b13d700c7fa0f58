"""One cell in a process of its own: ``python -m evaluation.ablations.worker FOLDER``.

A runner starts it and reads its exit code; everything else passes through the cell's folder.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from evaluation import strict
from evaluation.ablations import cells
from nuwa.errors import explain

FINISHED, FAILED, BUSY = 0, 1, 75
"""Exit codes: the cell is done, its function raised, another process has it (EX_TEMPFAIL)."""


def work(folder: Path, device: str = "auto") -> int:
    """Run the cell of ``folder`` where it is not done yet, and return the exit code."""
    cell = cells.read_cell(folder)
    with cells.claimed(folder) as mine:
        if not mine:
            return BUSY
        if cells.is_done(cell, folder):
            return FINISHED
        began = time.monotonic()
        try:
            module, _, name = cell.function.partition(":")
            getattr(importlib.import_module(module), name)(cell.config, cell.seed, folder, device)
        except Exception as error:  # of any kind: the other cells go on, and the reason is kept
            traceback.print_exc()
            strict.write(folder / cells.FAILED, cells.Failed(hash=cell.hash, reason=_sentence(error)))
            return FAILED
        seconds = round(time.monotonic() - began, 2)
        strict.write(folder / cells.DONE, cells.Done(hash=cell.hash, seconds=seconds))
        (folder / cells.FAILED).unlink(missing_ok=True)
    return FINISHED


def end_with_parent() -> None:
    """Kill this process as soon as the one that started it is gone, which closes the pipe that is our standard input."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _sentence(error: Exception) -> str:
    said = explain(error)
    text = f"{type(error).__name__}: {error}" if said is None else said[0].removeprefix("error: ")
    return " ".join(text.removesuffix(" (--debug shows where)").split())


def main(arguments: list[str]) -> int:
    """Read the command line, that of :func:`evaluation.ablations.executors.command`, and run the cell."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.ablations.worker")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--with-parent", action="store_true", help="end when the starting process ends")
    options = parser.parse_args(arguments)
    if options.with_parent:
        end_with_parent()
    return work(options.folder, options.device)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
