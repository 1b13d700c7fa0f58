"""Where measurements are collected, and the record they become."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import torch
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.memory import peak_extra_bytes
from benchmarks.problems import Options
from evaluation.provenance import Provenance, provenance
from evaluation.speed import Measurement, SpeedRecord, Times, write_speed

PEERS = ("nuwa-pytorch", "natten")
LEAST_ROUNDS, MOST_ROUNDS = 3, 100


class Ledger:
    """The measurements of one run, the clock they are made with, and the machine."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.rows: list[Measurement] = []
        self.made: Provenance = provenance(self.device, {}, self.dtype)  # the code that runs is that of the start

    def time(self, benchmark: BenchmarkFixture, run: Callable[[], Any], first_s: float) -> Times:
        """Rounds of ``run`` until the options' seconds are over; the clock is read when the device is done."""
        timed = self._synchronised(run)
        start = time.perf_counter()
        timed()  # warm: what is first of its kind is in first_s
        seconds = time.perf_counter() - start
        least = LEAST_ROUNDS if LEAST_ROUNDS * seconds < 2 * self.options.patience_s else 1
        rounds = max(least, min(MOST_ROUNDS, int(self.options.seconds / seconds)))
        benchmark.pedantic(timed, rounds=rounds)
        stats = cast(Any, benchmark.stats).stats
        return Times(median=stats.median, min=stats.min, max=stats.max, rounds=stats.rounds, first=first_s)

    def memory(self, run: Callable[[], Any]) -> int:
        """Most memory that ``run`` takes on top of what was there before, results included."""
        return peak_extra_bytes(run, self.device)

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

    def _synchronised(self, run: Callable[[], Any]) -> Callable[[], Any]:
        if self.device.type != "cuda":
            return run

        def wait() -> Any:
            result = run()
            torch.cuda.synchronize(self.device)
            return result

        return wait


def installed(package: str) -> str | None:
    """The version of an installed package, None where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
