"""Signals by which a scheduler takes its machine back: the training ends after the step at hand, with its state written."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""What schedulers send before they kill: SLURM sends SIGTERM, or what ``--signal`` says, often SIGUSR1."""


class StopSignals:
    """Inside ``with``, the signals are noted and nothing else; afterwards they do again what they did before.

    Python lets the main thread alone set handlers: in another one nothing is noted.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._note) for each in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, before in self._before.items():
            signal.signal(each, before if before is not None else signal.SIG_DFL)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return "a signal to another process" if self.received is None else self.received.name

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
