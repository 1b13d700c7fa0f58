"""Writing down what a report is made of: tables in every format, and the drawings beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from evaluation.ablations.record import AblationRecord
from evaluation.records import Record
from evaluation.speed import SpeedRecord
from nuwa.files import atomic, write_text
from reports import ablation, ablation_summary, render, speed
from reports.ablation_figures import curve_panels, quality_panels
from reports.figures import sheet
from reports.page import tables_page
from reports.published import load_published
from reports.speed_figures import cost_panels, decoding_panels
from reports.style import LIGHT, png
from reports.tables import Table, tidy


def table_files(
    stem: Path, tables: Sequence[Table], records: Mapping[str, Record], task: str, published: pd.DataFrame
) -> list[Path]:
    """``stem.md``, ``.csv`` (every number of ``records``, unrounded, then the published ones), ``.tex`` and ``.html``."""
    theirs = published[published["task"] == task]
    return all_formats(stem, tables, render.csv(tidy(records), theirs))


def speed_files(folder: Path, prefix: str, record: SpeedRecord) -> list[Path]:
    """Tables and plots of a benchmark: ``<prefix>cost`` and ``<prefix>decoding``, without those that have no rows."""
    drawings = {"cost": list(cost_panels(record)), "decoding": list(decoding_panels(record))}
    groups = {"cost": "attention", "decoding": "decoding", "training": "training"}
    paths = []
    for name, made in speed.tables(record).items():
        stem = folder / f"{prefix}{name}"
        paths += all_formats(stem, made, speed.csv(record, groups[name]))
        if drawings.get(name):
            paths.append(bytes_file(Path(f"{stem}.png"), png(sheet(drawings[name], LIGHT, columns=2))))
    return paths


def ablation_files(folder: Path, prefix: str, record: AblationRecord) -> list[Path]:
    """What an ablation has beside its tables: ``summary.md`` for a README, ``seeds.csv``, and ``quality.png`` if drawn."""
    contents = {
        "summary.md": render.markdown([ablation_summary.summary_table(record, load_published())]),
        "seeds.csv": ablation.csv(record),
    }
    paths = [folder / f"{prefix}{name}" for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_text(path, content)
    if parts := [*quality_panels(record), *curve_panels(record)]:
        paths.append(bytes_file(folder / f"{prefix}quality.png", png(sheet(parts, LIGHT, columns=2))))
    return paths


def bytes_file(path: Path, content: bytes) -> Path:
    """Write ``content`` atomically; return ``path``."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    return path


def slug(name: str) -> str:
    """``name`` as a part of a file name.

    >>> slug("../T2V (runs/b)")
    't2v-runs-b'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def all_formats(stem: Path, tables: Sequence[Table], csv: str) -> list[Path]:
    """``tables`` as ``stem.md``, ``.tex`` and ``.html``, and ``csv`` beside them."""
    contents = {
        ".md": render.markdown(tables),
        ".csv": csv,
        ".tex": render.latex(tables),
        ".html": tables_page(tables),
    }
    for suffix, content in contents.items():
        write_text(f"{stem}{suffix}", content)
    return [Path(f"{stem}{suffix}") for suffix in contents]
