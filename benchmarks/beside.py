"""Ours beside somebody else's, turn by turn, so that both have the same machine; and the file that keeps the ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.ledger import Ledger, clocked
from nuwa import files

ROUNDS = 3


class Results:
    """What was found so far, and the file it goes to: ``NAME.json`` in the folder of the run."""

    def __init__(self, ledger: Ledger, name: str, **common: float) -> None:
        self.path = ledger.options.out / f"{name}.json"
        self.environment = asdict(ledger.made.environment)
        self.common = common
        self.rows: list[dict[str, Any]] = []

    def add(self, name: str, **numbers: float) -> None:
        """Keep a row, and print it."""
        self.rows.append({"name": name, **self.common, **numbers})
        files.write_json(self.path, {"environment": self.environment, "rows": self.rows})
        print(f"\n{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in numbers.items()))


def side_by_side(
    benchmark: BenchmarkFixture, mine: Callable[[], Any], theirs: Callable[[], Any], rounds: int = ROUNDS
) -> dict[str, float]:
    """Median seconds of ``mine``, with a round of ``theirs`` before each, those of ``theirs``, and their ratio."""
    seconds: list[float] = []

    def before() -> None:
        seconds.append(clocked(theirs)[1])

    benchmark.pedantic(mine, setup=before, rounds=rounds, iterations=1)
    median, found = statistics.median(seconds), cast(Any, benchmark.stats).stats.median
    return {"ours_s": found, "theirs_s": median, "ratio": found / median}
