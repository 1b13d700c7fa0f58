"""Where measurements are collected, and the record they become."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.device import Queued
from benchmarks.memory import peak_extra_bytes
from benchmarks.problems import Options
from evaluation.provenance import Provenance, provenance
from evaluation.speed import Measurement, SpeedRecord, Times, write_speed

PEERS = ("nuwa-pytorch", "natten")
T = TypeVar("T")
LEAST_ROUNDS, MOST_ROUNDS = 3, 100


class Ledger:
    """The measurements of one run, the clock they are made with, and the machine."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.rows: list[Measurement] = []
        self.lines: list[str] = []  # what is said when all is over
        self.made: Provenance = provenance(self.device, {}, self.dtype)  # the code that runs is that of the start

    def time(
        self, benchmark: BenchmarkFixture, run: Callable[[], Any], first_s: float, *, queued: bool = False
    ) -> Times:
        """Rounds of ``run`` until the options' seconds are over; the clock is read when the device is done.

        ``queued`` takes the device's own time on a GPU, without that of asking for the work (:mod:`benchmarks.device`).

        What is first of its kind, such as compiling, is over by then and was clocked as ``first_s``; the number of rounds
        follows from one more pass, or from ``first_s`` where that would take too long.
        """
        if queued and self.device.type == "cuda":
            return self._queued(benchmark, run, first_s)
        timed = self.synchronised(run)
        seconds = first_s
        if first_s < self.options.round_s or first_s > self.options.patience_s:
            seconds = clocked(timed)[1]
        least = LEAST_ROUNDS if LEAST_ROUNDS * seconds < self.options.patience_s else 1
        rounds = max(least, min(MOST_ROUNDS, int(self.options.round_s / seconds)))
        benchmark.pedantic(timed, rounds=rounds)
        return times_of(benchmark, first_s)

    def _queued(self, benchmark: BenchmarkFixture, run: Callable[[], Any], first_s: float) -> Times:
        clock, found = Queued(run), []
        rounds = max(LEAST_ROUNDS, min(MOST_ROUNDS, int(self.options.round_s / clock.round_s)))
        benchmark.pedantic(lambda: found.append(clock.round()), rounds=rounds)
        return Times(median=statistics.median(found), min=min(found), max=max(found), rounds=len(found), first=first_s)

    def untried(self, **said: Any) -> Measurement:
        """A row that says what is to be measured, of those fields of :class:`Measurement`, and has no figures yet."""
        blank = dict.fromkeys(("times", "agreement", "peak_extra_bytes", "query_bytes", "flops", "steps"))
        dtype = str(self.dtype).removeprefix("torch.")
        return Measurement(**{**blank, "peer": False, "dtype": dtype, "not_run": "not tried", **said})

    def memory(self, run: Callable[[], Any]) -> int:
        """Most memory that ``run`` takes on top of what was there before, results included."""
        return peak_extra_bytes(run, self.device)

    def synchronised(self, run: Callable[[], T]) -> Callable[[], T]:
        """``run``, which returns when the device is done."""
        if self.device.type != "cuda":
            return run

        def wait() -> T:
            result = run()
            torch.cuda.synchronize(self.device)
            return result

        return wait

    def write(self, path: Path) -> Path:
        """Write the record to ``path`` and return it."""
        record = SpeedRecord(
            name="bench" + ("-quick" if self.options.quick else ""),
            date=datetime.now(UTC).date().isoformat(),
            quick=self.options.quick,
            environment=self.made.environment,
            packages={name: installed(name) for name in PEERS},
            git=self.made.git,
            command=self.made.command,
            rows=tuple(self.rows),
        )
        write_speed(path, record)
        return path


def times_of(benchmark: BenchmarkFixture, first_s: float) -> Times:
    """What the benchmark has clocked, after a first call of ``first_s``."""
    stats = cast(Any, benchmark.stats).stats
    return Times(median=stats.median, min=stats.min, max=stats.max, rounds=stats.rounds, first=first_s)


def clocked(run: Callable[[], T]) -> tuple[T, float]:
    """The result of ``run`` and its seconds."""
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


def installed(package: str) -> str | None:
    """The version of an installed package, None where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
