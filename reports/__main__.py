"""``python -m reports run|all|speed|ablation|build|compare``: records to tables, figures and pages; each has ``--help``.

Options without a command are those of ``build``, and ``--compare A B`` is ``compare A B``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import tyro

from evaluation.ablations.record import AblationRecord, read_ablation
from evaluation.records import Record
from evaluation.replicates import REPLICATES, Replicates, read_replicates
from evaluation.speed import SpeedRecord
from nuwa.errors import run_cli
from reports import escape, render
from reports.ablation import as_record
from reports.build import write_all_tables
from reports.collect import collect, read_any
from reports.compare import compare as compare_records
from reports.compare import text as comparison_text
from reports.write import (
    write_ablation_report,
    write_all_reports,
    write_run_report,
    write_speed_report,
)

ROOT = Path(__file__).parent.parent


def run(folder: tyro.conf.Positional[Path]) -> None:
    """Write the report of one run into its folder: tables, sample sheet, curves and the page report/index.html.

    Args:
        folder: the run's folder, such as runs/eval-t2i, which holds record.json.
    """
    tables, paths = write_run_report(folder)
    print("\n".join(render.text(table) for table in tables))
    _print_paths(paths)


def every(folder: tyro.conf.Positional[Path]) -> None:
    """Write the report of every run in a folder, and report/index.html of all of them together.

    Args:
        folder: the folder of the runs, such as runs/eval-all, whose folders t2i, t2v, … hold record.json.
    """
    _print_paths(write_all_reports(folder))


def speed(folder: tyro.conf.Positional[Path]) -> None:
    """Write the tables and plots of a benchmark into its folder: cost against tokens, and decoding.

    Args:
        folder: the benchmark's folder, such as runs/bench, which holds record.json.
    """
    tables, paths = write_speed_report(folder)
    print("\n".join(render.text(table) for table in tables))
    _print_paths(paths)


def ablation(folder: tyro.conf.Positional[Path]) -> None:
    """Write the tables, the figures and the page of an ablation into its folder; exit code 1 where a cell is missing.

    Args:
        folder: the ablation's folder, such as runs/ablate-attention, which holds record.json.
    """
    tables, paths = write_ablation_report(folder)
    print("\n".join(render.text(table) for table in tables))
    _print_paths(paths)
    if missing := read_ablation(folder / "record.json").missing:
        print("\n".join(f"missing: {each.id}: {each.reason}" for each in missing))
        raise SystemExit(1)


def build(
    records: Path = ROOT / "reports" / "records", runs: Path = ROOT / "runs", out: Path = ROOT / "runs" / "report"
) -> None:
    """Write all tables of the paper from all records there are, each above the published rows, and one page of them.

    Benchmarks add their tables and plots, runs their samples, and attention variants a drawing of their patterns. A record that
    cannot be believed is in no table; it is named, and the exit code is 1.

    Args:
        records: folder of committed records, *.json.
        runs: folder of runs, */record.json and */*/record.json.
        out: where the tables and index.html go.
    """
    found = collect(records, runs)
    paths = write_all_tables(found, out)
    names = ", ".join([*found.records, *found.ablations]) or "none, the tables show the published rows alone"
    print(f"records: {names}")
    if found.benchmarks:
        print(f"benchmarks: {', '.join(found.benchmarks)}")
    print(f"{len(paths)} files in {out}; look at {paths[-1]}")
    for note in found.notes:
        print(escape.plain(note))
    if found.refused:
        print("\n".join(f"refused: {escape.plain(reason)}" for reason in found.refused))
        raise SystemExit(1)


def compare(before: tyro.conf.Positional[Path], after: tyro.conf.Positional[Path]) -> None:
    """Say what changed between two runs on the same data; exit code 1 where a number of a model got clearly worse.

    A change is clear where the 95% interval of the difference leaves out nought; it is taken draw by draw where both folders
    keep their replicates. Among many numbers one in twenty may seem clear by chance. Exit code 2: they cannot be compared.
    Also as ``--compare A B``.

    Args:
        before: a run's or an ablation's folder, or its record.json.
        after: the run to judge.
    """
    (old, drawn_old), (new, drawn_new) = (_with_replicates(path) for path in (before, after))
    comparison = compare_records(old, new, drawn_old, drawn_new)
    print(comparison_text(comparison), end="")
    if comparison.regressions:
        raise SystemExit(1)


def main(arguments: list[str]) -> None:
    """Read the command line and run its command."""
    commands: dict[str, Callable[..., None]] = {
        "run": run,
        "all": every,
        "speed": speed,
        "ablation": ablation,
        "build": build,
        "compare": compare,
    }
    if arguments[:1] == ["--compare"]:
        arguments = ["compare", *arguments[1:]]
    elif not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["build", *arguments]  # options alone are those of the report of everything
    tyro.extras.subcommand_cli_from_dict(commands, prog="python -m reports", args=arguments)


def _with_replicates(path: Path) -> tuple[Record, Replicates]:
    """The record of a run or an ablation, and the bootstrap replicates beside it, none where it has none."""
    place = path / "record.json" if path.is_dir() else path
    if not place.is_file():
        raise ValueError(f"{path}: expected a record or a folder with record.json, got none")
    record = read_any(place)
    if isinstance(record, SpeedRecord):
        raise ValueError(f"{path}: expected the record of a run or an ablation, got that of a benchmark")
    drawn = place.parent / REPLICATES
    replicates = read_replicates(drawn) if place.name == "record.json" and drawn.is_file() else {}
    return (as_record(record) if isinstance(record, AblationRecord) else record), replicates


def _print_paths(paths: list[Path]) -> None:
    for path in paths:
        print(path)


if __name__ == "__main__":
    sys.exit(run_cli(main))
