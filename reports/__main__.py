"""``python -m reports run|all|speed|ablation|build|compare|study``: records to tables and pages; each has ``--help``.

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
from evaluation.scoring.captions import read_captions
from evaluation.speed import SpeedRecord
from nuwa.errors import run_cli
from reports import escape, render
from reports.ablation import as_record
from reports.build import write_all_tables
from reports.collect import collect, read_any
from reports.compare import compare as compare_records
from reports.compare import text as comparison_text
from reports.runs import read_run
from reports.study import QUESTION, make_study
from reports.study_sources import Source, of_generated, of_sheet
from reports.write import (
    write_ablation_report,
    write_all_reports,
    write_run_report,
    write_speed_report,
    write_study,
    write_votes,
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


def study(
    a: Path | None = None,
    b: Path | None = None,
    label_a: str | None = None,
    label_b: str | None = None,
    captions: Path | None = None,
    votes: tuple[Path, ...] = (),
    key: Path | None = None,
    question: str = QUESTION,
    num: int | None = None,
    size_px: int | None = None,
    seed: int = 0,
    out: Path = ROOT / "runs" / "study",
) -> None:
    """Compare two models by people who do not know which is which: ``--a RUN --b RUN`` makes the page, ``--votes`` counts.

    The page is one file, index.html; raters open it, vote by keyboard and send back what it exports. key.json stays here: it
    says which picture is whose. With ``--votes FILE...`` the table and every vote go into the same folder.

    Args:
        a: the run that is judged: its folder or record.json, with samples beside it.
        b: the run that it is compared with; may be the same one.
        label_a: whose pictures of run a, such as 'K = 8'; by default the first model's.
        label_b: whose pictures of run b.
        captions: a table of ids and captions, such as captions.csv of eval-t2i: then everything under generated/ is compared
            instead of the samples on the sheet.
        votes: files that raters exported.
        key: the study's key.json; by default that in --out.
        question: what raters are asked.
        num: how many pairs at most.
        size_px: side that all pictures are resized to.
        seed: of the order and of which picture is called x.
        out: where everything goes.
    """
    if votes and (a or b):
        raise ValueError(
            "expected --a and --b to make a page, or --votes to count, got both; run them one after the other"
        )
    if votes:
        table, paths = write_votes(votes, key or out / "key.json", out)
        print(render.text(table))
    elif a is not None and b is not None:
        first, second = _source(a, label_a, captions), _source(b, label_b, captions)
        made = make_study(first, second, question, num, size_px, seed)
        print(f"{len(made.pairs)} pairs of {made.key.a.name} and {made.key.b.name}")
        paths = write_study(made, out)
    else:
        raise ValueError("expected --a RUN and --b RUN to make a page, or --votes FILE... to count, got neither")
    _print_paths(paths)


def main(arguments: list[str]) -> None:
    """Read the command line and run its command."""
    commands: dict[str, Callable[..., None]] = {
        "run": run,
        "all": every,
        "speed": speed,
        "ablation": ablation,
        "build": build,
        "compare": compare,
        "study": study,
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


def _source(path: Path, label: str | None, captions: Path | None) -> Source:
    """The pictures of one side of a study."""
    folder = path.parent if path.is_file() else path
    run = read_run(folder)
    if captions is None:
        return of_sheet(run, label)
    if label is not None:
        raise ValueError(f"expected a label or captions, got {label!r} and {captions}; what is generated has no label")
    return of_generated(folder, run.record, read_captions(captions))


def _print_paths(paths: list[Path]) -> None:
    for path in paths:
        print(path)


if __name__ == "__main__":
    sys.exit(run_cli(main))
