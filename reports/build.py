"""The report of everything: every table of the paper from all records there are, and one page of them (``nox -s report``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from evaluation.ablations.record import AblationRecord
from evaluation.records import Record
from nuwa.files import write_text
from reports import ablation, ablation_summary, patterns
from reports.collect import Collected
from reports.columns import PAPER_TABLES, paper_table, title_of
from reports.extras import ablation_extra, patterns_extra, speed_extra
from reports.figures import sheet
from reports.files import ablation_files, bytes_file, slug, speed_files, table_files
from reports.growth import growth_table
from reports.page import Section, build_page, figures, signature
from reports.published import load_published
from reports.runs import read_run
from reports.style import LIGHT, png
from reports.tables import Table, build_tables
from reports.task_figures import codebook_panels, task_panels


def write_all_tables(found: Collected, out: Path) -> list[Path]:
    """Write every table of the paper, ours above the published rows, into ``out``; return the files.

    A task gets ``table1-t2i.md``, ``.csv``, ``.tex`` and ``.html`` (without the number where the paper has no such table) and
    ``.png`` where there is something to draw, a benchmark its tables and plots under its own name, every attention variant a
    drawing of its pattern (``attention-nearby3d.png``), all together ``index.html``, with the samples of the runs whose folders
    are there.
    """
    published = load_published()
    # Rows, files and sections bear the names under which records were collected, signatures are those of the files.
    ablations = {name: replace(each, name=name) for name, each in found.ablations.items()}
    records = {**found.records, **{name: ablation.as_record(each) for name, each in ablations.items()}}
    signed = {name: signature(each) for name, each in found.ablations.items()}
    runs = {name: read_run(folder) for name, folder in found.folders.items()}
    of_paper = [*(table.task for table in PAPER_TABLES), "study"]
    sections, paths = [], []
    for task in dict.fromkeys([*of_paper, *(record.task for record in records.values())]):
        ours = {name: record for name, record in records.items() if record.task == task}
        tables = _tables(task, ours, ablations, found, published)
        number = paper_table(task)
        stem = out / (f"table{number.number}-{task}" if number else tables[0].slug.removesuffix("-scores"))
        paths += table_files(stem, tables, ours, task, published)
        parts = task_panels(ours, runs, published, task)
        if task == "ablate-tokenizer":
            parts += codebook_panels(records)
        if parts:
            paths.append(bytes_file(stem.with_name(f"{stem.name}.png"), png(sheet(parts, LIGHT))))
        mine = {name: runs[name] for name in ours if name in runs}
        drawn = tuple(figures(parts))
        sections.append(Section(title=title_of(task), task=task, tables=tables, figures=drawn, runs=mine))
    extras = []
    for name, each in ablations.items():
        paths += ablation_files(out, f"{slug(name)}-", each)
        extras.append(ablation_extra(each, alone=sum(other.task == each.task for other in ablations.values()) == 1))
    for name, benchmark in found.benchmarks.items():
        named = replace(benchmark, name=name)
        paths += speed_files(out, f"{slug(name)}-", named)
        extras.append(speed_extra(named, signature(benchmark), alone=len(found.benchmarks) == 1))
    paths += [
        bytes_file(out / f"attention-{spec.name}.png", png(patterns.sheet(LIGHT, [spec]))) for spec in patterns.specs()
    ]
    page = out / "index.html"
    write_text(page, build_page(records, sections, _notes(found), [*extras, patterns_extra()], signed=signed))
    return [*paths, page]


def _tables(
    task: str,
    ours: Mapping[str, Record],
    ablations: Mapping[str, AblationRecord],
    found: Collected,
    published: pd.DataFrame,
) -> tuple[Table, ...]:
    """The tables of a task, with what ablations say of the paper's order as notes of the first one, and benchmarks of cost."""
    if task == "cost":
        return (growth_table(found.benchmarks, published),)
    first, *others = build_tables(ours, task, published)
    mine = {name: each for name, each in ablations.items() if name in ours}
    said = {name: ablation_summary.order_said(each, published) for name, each in mine.items()}
    notes = [("", text if len(mine) == 1 else f"{name}: {text}") for name, text in said.items() if text]
    return (replace(first, notes=(*notes, *first.notes)), *others)


def _notes(found: Collected) -> list[str]:
    nothing = [] if found.records or found.ablations else ["No record was found; run a session first."]
    return [*nothing, *found.notes, *(f"Refused, and in no table: {reason}" for reason in found.refused)]
