"""The files of a report: what ``run`` and ``build`` leave on disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import pandas as pd

from evaluation import records as run_records
from evaluation import speed as speed_records
from evaluation import strict
from evaluation.ablations import record as ablation_records
from evaluation.ablations.record import AblationRecord, read_ablation
from evaluation.records import Record, read_record
from evaluation.speed import SpeedRecord, read_speed
from nuwa.files import atomic, write_text
from reports import ablation, patterns, render, speed
from reports.ablation_figures import curve_panels, quality_panels
from reports.columns import PAPER_TABLES, TASKS, paper_table, title_of
from reports.figures import panels, sheet
from reports.page import Extra, Section, build_page, drawn_twice, figures, run_page
from reports.published import load_published
from reports.runs import Run, read_run
from reports.sheet import sample_sheet
from reports.speed_figures import cost_panels, decoding_panels
from reports.style import LIGHT, png
from reports.tables import Table, build_tables, tidy

R = TypeVar("R", Record, SpeedRecord, AblationRecord)


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


def write_all_reports(folder: str | Path) -> list[Path]:
    """Write the report of every run ``folder/*/record.json``, and one page of all of them; return the pages, that one last.

    ValueError where there is no run, or the record of one is damaged.
    """
    folder, published, runs = Path(folder), load_published(), dict[str, Run]()
    for place in sorted(path.parent for path in folder.glob("*/record.json")):
        write_run_report(place)
        runs[place.name] = read_run(place)
    if not runs:
        raise ValueError(f"{folder}: expected folders of runs with record.json, got none; run nox -s eval-all first")
    order = {task: number for number, task in enumerate(TASKS)}
    names = sorted(runs, key=lambda name: order.get(runs[name].record.task, len(order)))
    sections = [
        Section(
            title=title_of(runs[name].record.task),
            tables=build_tables(runs[name].named, runs[name].record.task, published),
            run=runs[name],
            link=f"../{name}/report/index.html",
        )
        for name in names
    ]
    records = {name: runs[name].record for name in names}
    page = folder / "report" / "index.html"
    write_text(page, build_page(records, sections, [], title="All tasks"))
    return [*(folder / name / "report" / "index.html" for name in names), page]


def write_speed_report(folder: str | Path) -> tuple[tuple[Table, ...], list[Path]]:
    """Write the tables and plots of the benchmark in ``folder`` into it; return its tables and the files.

    The files are ``cost.md``, ``.csv``, ``.tex`` and ``.png`` (cost against tokens, memory, peers) and the same for
    ``decoding`` (steps and wall clock); ``training`` has tables alone. ValueError where the record is missing or damaged.
    """
    folder = Path(folder)
    if not (folder / "record.json").is_file():
        raise ValueError(f"{folder}: expected a benchmark's folder with record.json, got none; run nox -s bench first")
    record = read_speed(folder / "record.json")
    tables = tuple(table for made in speed.tables(record).values() for table in made)
    return tables, _write_speed(folder, "", record)


def write_ablation_report(folder: str | Path) -> tuple[tuple[Table, ...], list[Path]]:
    """Write the tables, the figures and the page of the ablation in ``folder`` into it; return its tables and the files.

    The files are ``table.md``, ``.csv`` and ``.tex`` (scores above the published rows, differences from the first row,
    costs), ``seeds.csv`` (every number of every seed), ``quality.png`` (quality against compute, losses) and
    ``report/index.html``.
    ValueError where the record is missing or damaged.
    """
    folder, published = Path(folder), load_published()
    if not (folder / "record.json").is_file():
        raise ValueError(
            f"{folder}: expected an ablation's folder with record.json, got none; run nox -s ablate-… first"
        )
    found = read_ablation(folder / "record.json")
    records = {found.name: ablation.as_record(found)}
    tables = ablation.tables(found, published)
    paths = _write_tables(folder / "table", tables, records, found.task, published)
    paths += _write_ablation(folder, "", found)
    scores = build_tables(records, found.task, published)
    section = Section(title=title_of(found.task), tables=scores)
    page = folder / "report" / "index.html"
    write_text(page, build_page(records, [section], [], [_extra(found)], title=title_of(found.task)))
    return tables, [*paths, page]


def write_all_tables(
    records: Mapping[str, Record],
    out: Path,
    notes: Sequence[str] = (),
    benchmarks: Mapping[str, SpeedRecord] | None = None,
    ablations: Mapping[str, AblationRecord] | None = None,
) -> list[Path]:
    """Write every table of the paper, ours above the published rows, into ``out``; return the files.

    A task gets ``table1-t2i.md``, ``.csv`` and ``.tex`` (without the number where the paper has no such table), every
    benchmark its tables and plots under its own name, every attention variant a drawing of its pattern
    (``attention-nearby3d.png``), all together ``index.html``.
    """
    published, ablations = load_published(), ablations or {}
    records = {**records, **{name: ablation.as_record(found) for name, found in ablations.items()}}
    tasks = dict.fromkeys([*(table.task for table in PAPER_TABLES), *(record.task for record in records.values())])
    sections, paths = [], []
    for task in tasks:
        ours = {name: record for name, record in records.items() if record.task == task}
        tables = build_tables(ours, task, published)
        number = paper_table(task)
        stem = out / (f"table{number.number}-{task}" if number else tables[0].slug.removesuffix("-scores"))
        paths += _write_tables(stem, tables, ours, task, published)
        sections.append(Section(title=title_of(task), tables=tables))
    extras = []
    for name, found in ablations.items():
        paths += _write_ablation(out, f"{_slug(name)}-", found)
        extras.append(_extra(found))
    for name, benchmark in (benchmarks or {}).items():
        slug = _slug(name)
        paths += _write_speed(out, f"{slug}-", benchmark)
        extras.append(
            Extra(
                title="Speed" if len(benchmarks or {}) == 1 else f"Speed: {name}",
                slug=slug,
                text="What attention costs and what decoding takes; each row first agreed with the reference.",
                tables=tuple(table for made in speed.tables(benchmark).values() for table in made),
                figures=tuple(figures([*cost_panels(benchmark), *decoding_panels(benchmark)])),
                benchmark=benchmark,
            )
        )
    for spec in patterns.specs():
        paths.append(_write_bytes(out / f"attention-{spec.name}.png", png(patterns.sheet(LIGHT, [spec]))))
    extras.append(
        Extra(
            title="Attention patterns",
            slug="patterns",
            text=patterns.legend(),
            wide=True,
            figures=tuple(
                drawn_twice(spec.name, patterns.alt([spec]), partial(patterns.sheet, variants=[spec]))
                for spec in patterns.specs()
            ),
        )
    )
    page = out / "index.html"
    write_text(page, build_page(records, sections, notes, extras))
    return [*paths, page]


def collect(records: Path, runs: Path) -> dict[str, Record]:
    """The records ``records/*.json`` and ``runs/*/record.json`` by name, each content once; those of runs alone.

    A later record whose name is taken gets its file's or folder's name behind it. ValueError where one is damaged.
    """
    return _collect(records, runs, read_record, run_records.SCHEMA)


def collect_speed(records: Path, runs: Path) -> dict[str, SpeedRecord]:
    """The benchmarks' records in the same places, by name in the same way."""
    return _collect(records, runs, read_speed, speed_records.SCHEMA)


def collect_ablations(records: Path, runs: Path) -> dict[str, AblationRecord]:
    """The ablations' records in the same places, by name in the same way."""
    return _collect(records, runs, read_ablation, ablation_records.SCHEMA)


def _collect(records: Path, runs: Path, read: Callable[[Path], R], schema: str) -> dict[str, R]:
    places = [(path, path.stem) for path in sorted(records.glob("*.json"))]
    places += [(path, f"{runs.name}/{path.parent.name}") for path in sorted(runs.glob("*/record.json"))]
    found: dict[str, R] = {}
    for path, place in places:
        found_schema = strict.schema_of(path)
        if found_schema != schema and (schema != run_records.SCHEMA or found_schema in _OTHERS):
            continue  # what is of no known schema is read as a run's and refused
        record = read(path)
        if record not in found.values():
            found[f"{record.name} ({place})" if record.name in found else record.name] = record
    return found


_OTHERS = (speed_records.SCHEMA, ablation_records.SCHEMA)


def _extra(found: AblationRecord) -> Extra:
    """The part of a page that the scores of an ablation do not say: what differs significantly, and what it costs."""
    made = (ablation.differences_table(found), ablation.costs_table(found))
    return Extra(
        title=f"{title_of(found.task)}: differences and costs",
        slug=_slug(found.name),
        text=f"Every row was trained and scored alike on {found.scored}, with the seeds {', '.join(map(str, found.seeds))}.",
        tables=tuple(table for table in made if table is not None),
        figures=tuple(figures([*quality_panels(found), *curve_panels(found)])),
    )


def _write_ablation(folder: Path, prefix: str, found: AblationRecord) -> list[Path]:
    paths = [folder / f"{prefix}seeds.csv"]
    write_text(paths[0], ablation.csv(found))
    if parts := [*quality_panels(found), *curve_panels(found)]:
        paths.append(_write_bytes(folder / f"{prefix}quality.png", png(sheet(parts, LIGHT, columns=2))))
    return paths


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _write_speed(folder: Path, prefix: str, record: SpeedRecord) -> list[Path]:
    drawings = {"cost": list(cost_panels(record)), "decoding": list(decoding_panels(record))}
    groups = {"cost": "attention", "decoding": "decoding", "training": "training"}
    paths = []
    for name, made in speed.tables(record).items():
        stem = folder / f"{prefix}{name}"
        contents = {".md": render.markdown(made), ".csv": speed.csv(record, groups[name]), ".tex": render.latex(made)}
        for suffix, content in contents.items():
            write_text(f"{stem}{suffix}", content)
            paths.append(Path(f"{stem}{suffix}"))
        if drawings.get(name):
            paths.append(_write_bytes(Path(f"{stem}.png"), png(sheet(drawings[name], LIGHT, columns=2))))
    return paths


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
