"""The report of one run, benchmark or ablation, left in its own folder; :mod:`reports.build` makes that of everything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation import strict
from evaluation.ablations.record import read_ablation
from evaluation.speed import read_speed
from nuwa.files import write_text
from reports import ablation, ablation_summary, speed, votes
from reports.columns import TASKS, title_of
from reports.extras import ablation_extra
from reports.figures import panels, sheet
from reports.files import ablation_files, all_formats, bytes_file, speed_files, table_files
from reports.gallery import gallery
from reports.page import Section, build_page, run_page, signature, study_page
from reports.published import load_published
from reports.runs import Run, read_run
from reports.sheet import sample_sheet
from reports.study import Study, read_key
from reports.study_tables import study_table
from reports.style import LIGHT, png
from reports.tables import Table, build_tables


def write_run_report(folder: str | Path) -> tuple[tuple[Table, ...], list[Path]]:
    """Write the report of the run in ``folder`` into it; return its tables and the files.

    The files are ``table.md``, ``table.csv``, ``table.tex``, ``report/index.html``, and, where the run has samples or
    curves, ``sheet.png`` and ``curves.png``; an older picture is removed where there is nothing to draw any more.
    ValueError where the record is missing or damaged.
    """
    folder = Path(folder)
    run, published = read_run(folder), load_published()
    tables = build_tables(run.named, run.record.task, published)
    paths = table_files(folder / "table", tables, run.named, run.record.task, published)
    parts = panels(run, published)
    pictures = {
        "sheet.png": sample_sheet(run) if run.samples else None,
        "curves.png": png(sheet(parts, LIGHT)) if parts else None,
    }
    for name, content in pictures.items():
        if content is None:
            (folder / name).unlink(missing_ok=True)
        else:
            paths.append(bytes_file(folder / name, content))
    page = folder / "report" / "index.html"
    write_text(page, run_page(run, published))
    return tables, [*paths, page]


def write_all_reports(folder: str | Path) -> list[Path]:
    """Write the report of every run ``folder/*/record.json``, and one page of all of them; return the pages, that one last.

    Where the runs have samples, ``gallery.webp`` shows some of every task on one picture.
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
            tables=build_tables({name: runs[name].record}, runs[name].record.task, published),
            task=runs[name].record.task,
            runs={name: runs[name]},
            links={name: f"../{name}/report/index.html"},
        )
        for name in names
    ]
    records = {name: runs[name].record for name in names}
    paths = [folder / name / "report" / "index.html" for name in names]
    if (picture := gallery({runs[name].record.task: runs[name] for name in names})) is None:
        (folder / "gallery.webp").unlink(missing_ok=True)
    else:
        paths.append(bytes_file(folder / "gallery.webp", picture))
    page = folder / "report" / "index.html"
    write_text(page, build_page(records, sections, [], title="All tasks"))
    return [*paths, page]


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
    return tables, speed_files(folder, "", record)


def write_ablation_report(folder: str | Path) -> tuple[tuple[Table, ...], list[Path]]:
    """Write the tables, the figures and the page of the ablation in ``folder`` into it; return its tables and the files.

    The files are ``table.md``, ``.csv``, ``.tex`` and ``.html`` (scores above the published rows, differences from the first
    row, costs), ``summary.md`` (scores and differences for a README), ``seeds.csv`` (every number of every seed),
    ``quality.png`` (quality against compute, losses) and ``report/index.html``.
    ValueError where the record is missing or damaged.
    """
    folder, published = Path(folder), load_published()
    if not (folder / "record.json").is_file():
        raise ValueError(
            f"{folder}: expected an ablation's folder with record.json, got none; run nox -s ablate-… first"
        )
    found = read_ablation(folder / "record.json")
    records = {found.name: ablation.as_record(found)}
    tables = ablation_summary.tables(found, published)
    paths = table_files(folder / "table", tables, records, found.task, published)
    paths += ablation_files(folder, "", found)
    extra = ablation_extra(found)
    scores = tuple(table for table in tables if table not in extra.tables)
    section = Section(title=title_of(found.task), task=found.task, tables=scores)
    page = folder / "report" / "index.html"
    made = build_page(records, [section], [], [extra], title_of(found.task), signed={found.name: signature(found)})
    write_text(page, made)
    return tables, [*paths, page]


def write_study(study: Study, out: Path) -> list[Path]:
    """Write the page of a blind comparison, ``index.html``, and what it does not tell, ``key.json``; return both."""
    page, key = out / "index.html", out / "key.json"
    write_text(page, study_page(study))
    strict.write(key, study.key)
    return [page, key]


def write_votes(paths: Sequence[Path], key: Path, out: Path) -> tuple[Table, list[Path]]:
    """Count the ballots in ``paths`` for the study of ``key``; return the table and the files, ``votes.csv`` has every vote.

    ValueError where a ballot is damaged or of another study.
    """
    if not key.is_file():
        raise ValueError(
            f"{key}: expected the key of the study, got none; give --key, or --out of the command that made it"
        )
    opened = read_key(key)
    cast = votes.tidy(votes.read_ballots(paths, opened), opened)
    table = study_table(votes.count(cast), opened, load_published())
    return table, all_formats(out / "votes", [table], cast.to_csv(index=False, lineterminator="\n"))
