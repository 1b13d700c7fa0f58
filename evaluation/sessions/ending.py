"""What a session says at its end: the numbers of its main rows, and where everything is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluation.records import MetricValue, Record, Row
from evaluation.scoring import show
from evaluation.sessions.base import Session, SessionOptions

PLACES = {  # what a session may leave, in the order in which one looks at it
    "record.json": "every number, and how it was made",
    "samples": "pictures side by side",
    "generated": "one picture a caption",
    "captions.csv": "ids and captions, for pictures of another model (--generated)",
    "checkpoint": "Nuwa.from_pretrained",
    "training": "what the training left",
}


def run_session(session: Session, options: SessionOptions) -> None:
    """Run a session and print what it found, or only where it lies."""
    record = session.run(options)
    print(said(options.out, record if options.table else None))


def main_rows(record: Record) -> list[Row]:
    """The rows without those that break another down, which are named "<row>, <part>"."""
    names = [row.name for row in record.rows]
    return [row for row in record.rows if not any(row.name.startswith(f"{name}, ") for name in names)]


def table(record: Record) -> str:
    """One line a metric and one column a row, values with their 95% intervals."""
    found = {row.name: {(each.name, each.protocol): each for each in row.metrics} for row in main_rows(record)}
    metrics = dict.fromkeys(key for of_row in found.values() for key in of_row)
    lines = [("metric", *found)]
    for key in metrics:
        values = [of_row.get(key) for of_row in found.values()]
        present = [value for value in values if value is not None]
        places = max(show.decimals(value) for value in present)
        cells = ["–" if value is None else _cell(value, places) for value in values]
        lines.append((f"{key[0]} {'↑' if present[0].higher_is_better else '↓'}", *cells))
    return show.columns(lines, left=(0,))


def places(out: Path) -> Iterator[str]:
    """The files and folders that are there, with what they are."""
    width = max(len(str(out / name)) for name in PLACES)
    for name, what in PLACES.items():
        if (out / name).exists():
            yield f"{out / name!s:{width}}  {what}"


def said(out: Path, record: Record | None) -> str:
    """Table, footnotes and places; the places alone where there is no record."""
    if record is None:
        return "\n".join(places(out))
    protocols = dict.fromkeys(metric.protocol for row in record.rows for metric in row.metrics)
    notes = [f"{row.name}: {row.sampling['note']}" for row in main_rows(record) if row.sampling.get("note")]
    page = f"{record.task}: python -m reports run {out} makes the table of the paper and a page of this"
    left_out = [f"{len(record.skipped)} notes and left-out samples stand in the record"] if record.skipped else []
    return "\n".join(
        [table(record), "", f"protocols: {', '.join(protocols)}", *notes, *left_out, "", *places(out), page]
    )


def _cell(value: MetricValue, places: int) -> str:
    low, high = (f"{edge:.{places}f}" for edge in value.ci95)
    return f"{value.value:.{places}f} ({low}–{high})"
