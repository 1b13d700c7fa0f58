"""``python -m benchmarks``: time everything, unattended, and write the record. ``--help`` shows the options."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import tyro

from benchmarks.memory import keep_freed
from benchmarks.plugin import Plugin
from benchmarks.problems import Options
from nuwa.errors import run_cli

FLAGS = (
    *("--benchmark-enable", "--benchmark-only", "--benchmark-quiet"),  # the report has the tables
    *("--timeout=0", "-p", "no:cacheprovider", "--verbose", "-rN"),
    *("-W", "default"),  # what a peer warns of is its own affair
)


def main(arguments: list[str]) -> None:
    """Read the options, run the suites of this folder, write the record; SystemExit where one of them failed."""
    options = tyro.cli(Options, args=arguments, prog="python -m benchmarks")
    keep_freed()  # for everybody who is timed here, peers included
    plugin = Plugin(options)
    selected = ["-k", options.only] if options.only else []
    # Sampling comes first: its many small operations are slower by a third in a process that has freed gigabytes before.
    here = Path(__file__).parent
    suites = sorted(here.glob("test_*.py"), key=lambda suite: (suite.stem != "test_decoding", suite.stem))
    code = pytest.main([*map(str, suites), *FLAGS, *selected], plugins=[plugin])
    print(*plugin.ledger.lines, sep="\n", end="\n" if plugin.ledger.lines else "")
    if plugin.ledger.rows:
        print(plugin.ledger.write(options.out / "record.json"))
    if code != 0:
        raise SystemExit(int(code))


if __name__ == "__main__":
    sys.exit(run_cli(main))
