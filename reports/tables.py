"""Records to tables: which row, which column, what is best. Writing a table down is :mod:`reports.render`'s part.

A column is one metric under one protocol, so two protocols never share a column, and a mark for the best value is given
within one column and one data set only.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.records import Record
from reports.columns import UNDIRECTED, Look, leading_columns, look_of_column, paper_table, title_of
from reports.difference import Number, is_clear

Mark = Literal["best", "second"]
Kind = Literal["model", "reference", "published"]

PUBLISHED_NOTE = (
    "As published; data and protocol differ from ours or are unknown, so these rows are for orientation and are not "
    "ranked."
)
SECONDARY_NOTE = "From a secondary summary; not checked against the paper itself."
REFERENCE_NOTE = (
    "Reference rows: real data scored as if it were a model's, the tokenizer's reconstruction of the test pictures (what "
    "the tokenizer allows), and baselines: an untrained model, and what each task is measured against."
)
MARKS_NOTE = (
    "Bold is best and underlined second among models under one protocol, data set and n, of an ablation among its own rows; "
    "those that do not differ clearly share a mark."
)
SECONDARY = "‡"
_REFERENCE_ORDER = {"real": 0, "reconstruction": 1, "baseline": 2}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One metric under one protocol; ``protocol`` is ``None`` where only published rows have the metric.

    ``higher_is_better`` is ``None`` where neither direction is better.
    """

    metric: str
    protocol: str | None
    higher_is_better: bool | None
    unit: str
    letter: str | None

    @property
    def arrow(self) -> str:
        """The direction in which the metric gets better."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]

    @property
    def heading(self) -> str:
        """Name, unit and arrow, as printed: ``caption accuracy (%) ↑``."""
        return f"{self.metric}{f' ({self.unit})' if self.unit else ''} {self.arrow}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number as printed (``text``; ``spread``, its 95% interval or what was published) and as recorded.

    ``note`` is the mark of a footnote to this number alone.
    """

    text: str
    spread: str | None = None
    value: float | None = None
    n: int | None = None
    mark: Mark | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A name and one cell or ``None`` per column; ``source`` says where the row comes from, ``note`` marks a footnote."""

    name: str
    source: str
    note: str | None = None
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows of one kind that belong together under a title."""

    kind: Kind
    title: str
    rows: tuple[TableRow, ...]

    def widened(self, columns: int) -> Group:
        """The same with so many empty columns behind its own."""
        rows = tuple(replace(row, cells=(*row.cells, *[None] * columns)) for row in self.rows)
        return replace(self, rows=rows)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table ready to be written: ``slug`` names it in ids, ``notes`` stand below it as (mark, text)."""

    slug: str
    title: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    notes: tuple[tuple[str, str], ...]


def tidy(records: Mapping[str, Record]) -> pd.DataFrame:
    """Records, by the name they go by, as a tidy frame: one number a row, marked "best" or "second" where it is.

    Columns: ``record task data fingerprint row role note metric protocol value ci95_low ci95_high n higher_is_better mark``.
    Only rows of role "model" are ranked, within one metric, protocol, data set and sample count, those of an ablation within
    it, where at least two compete; those that do not differ clearly, or print the same, share a mark. ``note`` and, where it is
    another than the record's, the split are what the record says of the row in its sampling. ValueError where a row gives one
    metric twice or rows disagree on the direction.
    """
    frame = pd.DataFrame(
        [
            {
                "record": name,
                "task": record.task,
                "data": f"{record.dataset.name} {record.dataset.version}, "
                f"{row.sampling.get('split') or record.dataset.split}",
                "fingerprint": row.sampling.get("split_fingerprint") or record.dataset.fingerprint,
                "row": row.name,
                "role": row.role,
                "note": row.sampling.get("note") or "",
                "metric": metric.name,
                "protocol": metric.protocol,
                "value": metric.value,
                "ci95_low": metric.ci95[0],
                "ci95_high": metric.ci95[1],
                "n": metric.n,
                "higher_is_better": metric.higher_is_better,
            }
            for name, record in records.items()
            for row in record.rows
            for metric in row.metrics
        ],
        columns=[
            *("record", "task", "data", "fingerprint", "row", "role", "note", "metric", "protocol"),
            *("value", "ci95_low", "ci95_high", "n", "higher_is_better"),
        ],
    )
    key = ["record", "row", "metric", "protocol"]
    if (again := frame.duplicated(key)).any():
        raise ValueError(
            f"{frame.loc[again, key].iloc[0].to_dict()} stands twice; give each row of a record its own name"
        )
    for metric, directions in frame.groupby("metric", sort=False)["higher_is_better"]:
        if directions.nunique() > 1:
            raise ValueError(
                f"metric {metric!r}: rows disagree on higher_is_better; the record was made by mixed versions"
            )
    frame["mark"] = _marks(frame)
    return frame


def _marks(frame: pd.DataFrame) -> pd.Series[str]:
    marks = pd.Series("", index=frame.index, dtype=object)
    models = frame[frame["role"] == "model"]
    # Rows of an ablation have equal budgets, which those of another one do not share.
    contest = models["record"].where(models["task"].str.startswith("ablate-"), "")
    for (metric, protocol, *_), rivals in models.groupby(
        ["metric", "protocol", "data", "fingerprint", "n", contest.rename("contest")], sort=False
    ):
        if len(rivals) < 2:
            continue
        column = frame[(frame["metric"] == metric) & (frame["protocol"] == protocol)]
        look = look_of_column(str(metric), list(column["value"]))
        left = rivals.sort_values("value", ascending=not rivals["higher_is_better"].iloc[0])
        for mark in ("best", "second"):
            if len(left):
                alike = _alike(left, look)
                marks[left.index[alike]] = mark
                left = left[~alike]
    return marks


def _alike(rivals: pd.DataFrame, look: Look) -> NDArray[np.bool_]:
    """Which of some rows, the best first, do not differ clearly from the best or print the same."""
    first, *others = (Number(*each) for each in rivals[["value", "ci95_low", "ci95_high"]].itertuples(index=False))
    same = [look.text(each.value) == look.text(first.value) or not is_clear(first, each) for each in others]
    return np.array([True, *same])


def leading(frame: pd.DataFrame, task: str) -> pd.DataFrame:
    """The part of a tidy frame that the first table of ``task`` shows.

    A row with nothing but accuracies, beside rows that have more, breaks another row down (by number of objects, say)
    and stays out.
    """
    part = frame[frame["metric"].isin(leading_columns(task))]
    broad = part[~_is_accuracy(part["metric"])].set_index(["record", "row"]).index
    return part[part.set_index(["record", "row"]).index.isin(broad)] if len(broad) else part


def _is_accuracy(metrics: pd.Series[str]) -> pd.Series[bool]:
    return metrics.str.contains("accuracy") | (metrics == "acc")


def build_tables(records: Mapping[str, Record], task: str, published: pd.DataFrame) -> tuple[Table, ...]:
    """The tables of one task: the leading metrics with the published rows below, accuracies in detail, what is left.

    ``records``, by the name they go by, all have ``task``; ``published`` is the frame that
    :func:`reports.published.load_published` gives. A table that would have nothing new is left out.
    """
    frame = tidy(records)
    first = leading(frame, task)
    rest = frame.drop(first.index)
    theirs = published[published["task"] == task]
    number = paper_table(task)
    title = title_of(task) + (f" (layout of Table {number.number})" if number else "")
    slug = re.sub(r"[^a-z0-9]+", "-", task.lower()).strip("-")
    tables = [_table(f"{slug}-scores", title, first, theirs, leading_columns(task))]
    if _is_accuracy(rest["metric"]).any():
        details = frame[_is_accuracy(frame["metric"])]
        tables.append(_details(f"{slug}-accuracy", f"{title_of(task)}: accuracy in detail", details, theirs))
    if len(others := rest[~_is_accuracy(rest["metric"])]):
        tables.append(_details(f"{slug}-details", f"{title_of(task)}: further metrics", others, theirs))
    return tuple(tables)


def _details(slug: str, title: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> Table:
    return _table(slug, title, ours, theirs.iloc[:0], tuple(ours["metric"].drop_duplicates()))


def _table(slug: str, title: str, ours: pd.DataFrame, theirs: pd.DataFrame, order: Sequence[str]) -> Table:
    columns, looks = _columns(ours, theirs, order)
    groups = [*_our_groups(ours, columns, looks), *_published_groups(theirs, columns)]
    notes = [(column.letter or "", _protocol_note(ours, column)) for column in columns if column.letter]
    merged = list(dict.fromkeys(notes))
    merged += [(mark, note) for note, mark in _footnotes(ours).items()]
    if any(cell is not None and cell.mark for group in groups for row in group.rows for cell in row.cells):
        merged.append(("", MARKS_NOTE))
    if any(group.kind == "reference" for group in groups):
        merged.append(("", REFERENCE_NOTE))
    if len(theirs):
        merged.append(("†", PUBLISHED_NOTE))
    if any(cell is not None and cell.note for group in groups for row in group.rows for cell in row.cells):
        merged.append((SECONDARY, SECONDARY_NOTE))
    return Table(slug=slug, title=title, columns=tuple(columns), groups=tuple(groups), notes=tuple(merged))


def _columns(ours: pd.DataFrame, theirs: pd.DataFrame, order: Sequence[str]) -> tuple[list[Column], list[Look]]:
    """Columns in ``order``; two protocols of a metric get two, a metric only published one without protocol."""
    protocols = list(ours["protocol"].drop_duplicates())
    letters = dict(zip(protocols, _letters(len(protocols)), strict=True))
    columns, looks = [], []
    for metric in order:
        mine = ours[ours["metric"] == metric]
        published = theirs[theirs["metric"] == metric]
        for protocol in list(mine["protocol"].drop_duplicates()) or ([None] if len(published) else []):
            values = mine[mine["protocol"] == protocol]
            better: bool | None = bool((values if len(values) else published)["higher_is_better"].iloc[0])
            better = None if metric in UNDIRECTED else better
            look = look_of_column(metric, list(values["value"]))
            letter = letters[protocol] if protocol else None
            columns.append(
                Column(metric=metric, protocol=protocol, higher_is_better=better, unit=look.unit, letter=letter)
            )
            looks.append(look)
    return columns, looks


def _letters(count: int) -> list[str]:
    alphabet = string.ascii_lowercase
    return [alphabet[i % 26] * (i // 26 + 1) for i in range(count)]


def _protocol_note(ours: pd.DataFrame, column: Column) -> str:
    mine = ours[ours["protocol"] == column.protocol]
    low, high = int(mine["n"].min()), int(mine["n"].max())
    return f"{column.protocol}, n = {low:,}" + (f" to {high:,}" if high > low else "") + ", with 95% intervals"


def _our_groups(ours: pd.DataFrame, columns: Sequence[Column], looks: Sequence[Look]) -> list[Group]:
    several, footnotes = ours["record"].nunique() > 1, _footnotes(ours)
    groups = []
    sets = ours.groupby("data", sort=False)["fingerprint"].nunique().to_dict()
    for (data, fingerprint), on_data in ours.groupby(["data", "fingerprint"], sort=False):
        where = str(data) if sets[data] == 1 else f"{data}, fingerprint {str(fingerprint)[:8]}"
        kinds: tuple[tuple[Kind, str, pd.DataFrame], ...] = (
            ("model", f"Models on {where}", on_data[on_data["role"] == "model"]),
            ("reference", f"Reference rows on {where}", on_data[on_data["role"] != "model"]),
        )
        for kind, title, part in kinds:
            rows = [
                (
                    _REFERENCE_ORDER.get(str(numbers["role"].iloc[0]), -1),
                    _row(str(record), str(name), numbers, columns, looks, footnotes.get(str(numbers["note"].iloc[0]))),
                )
                for (record, name), numbers in part.groupby(["record", "row"], sort=False)
            ]
            if several:
                rows = [(order, replace(row, name=f"{row.name} · {row.source}")) for order, row in rows]
            if rows:
                ordered = tuple(row for _, row in sorted(rows, key=lambda pair: pair[0]))
                groups.append(Group(kind=kind, title=title, rows=ordered))
    return groups


def _footnotes(ours: pd.DataFrame) -> dict[str, str]:
    """What records say of their rows, each with its mark: 1, 2, …"""
    notes = [note for note in ours["note"].drop_duplicates() if note]
    return {str(note): str(number) for number, note in enumerate(notes, start=1)}


def _row(
    record: str,
    name: str,
    numbers: pd.DataFrame,
    columns: Sequence[Column],
    looks: Sequence[Look],
    note: str | None,
) -> TableRow:
    found = {(number.metric, number.protocol): number for number in numbers.itertuples(index=False)}
    cells = [
        _cell(found.get((column.metric, column.protocol)), look) for column, look in zip(columns, looks, strict=True)
    ]
    return TableRow(name=name, source=record, note=note, cells=tuple(cells))


def _cell(number: Any, look: Look) -> Cell | None:
    if number is None:
        return None
    return Cell(
        text=look.text(number.value),
        spread=look.interval(float(number.ci95_low), float(number.ci95_high)),
        value=float(number.value),
        n=int(number.n),
        mark=number.mark or None,
    )


def _published_groups(theirs: pd.DataFrame, columns: Sequence[Column]) -> list[Group]:
    """Published rows by data set, each value under the first column of its metric, printed exactly as published."""
    first = {column.metric: i for i, column in reversed(list(enumerate(columns)))}
    groups = []
    for (dataset, table), on_data in theirs.groupby(["dataset", "source_table"], sort=False):
        rows = []
        for label, numbers in on_data.groupby("label", sort=False):
            cells: list[Cell | None] = [None] * len(columns)
            for number in numbers.to_dict("records"):
                if number["metric"] in first:
                    cells[first[number["metric"]]] = Cell(
                        text=number["value"],
                        spread=f"±{number['plus_minus']}" if number["plus_minus"] else None,
                        value=None if math.isnan(number["number"]) else float(number["number"]),
                        note=SECONDARY if number["note"].startswith("secondary") else None,
                    )
            source = f"{numbers['paper'].iloc[0]}, {numbers['source_table'].iloc[0]}; {numbers['note'].iloc[-1]}"
            rows.append(TableRow(name=str(label), source=source, cells=tuple(cells)))
        place = "other papers" if table == "not stated" else table
        groups.append(Group(kind="published", title=f"Published †, {dataset}, {place}", rows=tuple(rows)))
    return groups
