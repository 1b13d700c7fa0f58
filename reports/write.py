"""The files of a report: what ``run`` and ``build`` leave on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from evaluation.records import Record, read_record
from nuwa.files import atomic, write_text
from reports import render
from reports.columns import PAPER_TABLES, paper_table
from reports.figures import panels, sheet
from reports.page import build_page, run_page
from reports.published import load_published
from reports.runs import read_run
from reports.sheet import sample_sheet
from reports.style import LIGHT, png
from reports.tables import Table, build_tables, tidy


def write_run_report(folder: str | Path) -> tuple[tuple[Table, ...], list[Path]]:
    """Write the report of the run in ``folder`` into it; return its tables and the files.

    The files are ``table.md``, ``table.csv``, ``table.tex``, ``report/index.html``, and, where the run has samples or
    curves, ``sheet.png`` and ``curves.png``; an older picture is removed where there is nothing to draw any more.
    ValueError where the record is missing or damaged.
    """
    folder = Path(folder)
    run, published = read_run(folder), load_published()
    tables = build_tables(run.named, run.record.task, published)
    paths = _write_tables(folder / "table", tables, run.named, run.record.task, published)
    parts = panels(run, published)
    pictures = {
        "sheet.png": sample_sheet(run) if run.samples else None,
        "curves.png": png(sheet(parts, LIGHT)) if parts else None,
    }
    for name, content in pictures.items():
        if content is None:
            (folder / name).unlink(missing_ok=True)
        else:
            paths.append(_write_bytes(folder / name, content))
    page = folder / "report" / "index.html"
    write_text(page, run_page(run, published))
    return tables, [*paths, page]


def write_all_tables(records: Mapping[str, Record], out: Path, notes: Sequence[str] = ()) -> list[Path]:
    """Write every table of the paper, ours above the published rows, into ``out``; return the files.

    A task gets ``table1-t2i.md``, ``.csv`` and ``.tex`` (without the number where the paper has no such table), all
    tasks together ``index.html``.
    """
    published = load_published()
    tasks = dict.fromkeys([*(table.task for table in PAPER_TABLES), *(record.task for record in records.values())])
    sections, paths = [], []
    for task in tasks:
        ours = {name: record for name, record in records.items() if record.task == task}
        tables = build_tables(ours, task, published)
        number = paper_table(task)
        stem = out / (f"table{number.number}-{task}" if number else tables[0].slug.removesuffix("-scores"))
        paths += _write_tables(stem, tables, ours, task, published)
        sections.append((task, tables))
    page = out / "index.html"
    write_text(page, build_page(records, sections, notes))
    return [*paths, page]


def collect(records: Path, runs: Path) -> dict[str, Record]:
    """The records ``records/*.json`` and ``runs/*/record.json`` by name, each content once.

    A later record whose name is taken gets its file's or folder's name behind it. ValueError where one is damaged.
    """
    places = [(path, path.stem) for path in sorted(records.glob("*.json"))]
    places += [(path, f"{runs.name}/{path.parent.name}") for path in sorted(runs.glob("*/record.json"))]
    found: dict[str, Record] = {}
    for path, place in places:
        record = read_record(path)
        if record not in found.values():
            found[f"{record.name} ({place})" if record.name in found else record.name] = record
    return found


def _write_tables(
    stem: Path, tables: Sequence[Table], records: Mapping[str, Record], task: str, published: pd.DataFrame
) -> list[Path]:
    theirs = published[published["task"] == task]
    contents = {
        ".md": render.markdown(tables),
        ".csv": render.csv(tidy(records), theirs),
        ".tex": render.latex(tables),
    }
    for suffix, content in contents.items():
        write_text(f"{stem}{suffix}", content)
    return [Path(f"{stem}{suffix}") for suffix in contents]


def _write_bytes(path: Path, content: bytes) -> Path:
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    return path
