"""A table written down: Markdown, LaTeX, aligned text and CSV. HTML is :mod:`reports.page`'s part.

All writers agree: rows in groups, the best model value bold (or ``*`` on a terminal) and the second underlined (``_``),
the 95% interval behind the value or, on a terminal, below it, notes at the foot. The same tables give the same bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import jinja2
import pandas as pd

from reports import escape
from reports.tables import MARKS_NOTE, Cell, Table

TEMPLATES = Path(__file__).with_name("templates")
_TEXT_MARKS = {"best": "*", "second": "_", None: " "}


def markdown(tables: Sequence[Table]) -> str:
    """The tables as GitHub Markdown."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    def cell(cell: Cell | None) -> str:
        if cell is None:
            return "–"
        text = {"best": f"**{cell.text}**", "second": f"<u>{cell.text}</u>", None: cell.text}[cell.mark]
        note = f" <sup>{cell.note}</sup>" if cell.note else ""
        return text + note + (f" <sub>{cell.spread}</sub>" if cell.spread else "")

    heads = [f"{escape.markdown(c.heading)}{f' <sup>{c.letter}</sup>' if c.letter else ''}" for c in table.columns]
    lines = [f"### {escape.markdown(table.title)}", ""]
    lines += [f"| {' | '.join(['', *heads])} |", "|" + " :-- |" + " --: |" * len(heads)]
    for group in table.groups:
        lines.append(f"| **{escape.markdown(group.title)}** |" + " |" * len(heads))
        for row in group.rows:
            name = escape.markdown(row.name)
            name = f"*{name}*" if group.kind == "published" else name
            lines.append(
                f"| {name}{f' <sup>{row.note}</sup>' if row.note else ''} | {' | '.join(map(cell, row.cells))} |"
            )
    notes = [f"{f'<sup>{mark}</sup> ' if mark else ''}{escape.markdown(text)}  " for mark, text in table.notes]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def text(table: Table) -> str:
    """The table aligned for a terminal; ``*`` stands behind the best model value, ``_`` behind the second."""

    def cell(cell: Cell | None) -> str:
        return "–  " if cell is None else f"{cell.text} {cell.note or _TEXT_MARKS[cell.mark]}"

    body: list[tuple[str, list[str]] | str] = []
    for group in table.groups:
        body.append(escape.plain(group.title))
        for row in group.rows:
            name = f"  {escape.plain(row.name)}{f' [{row.note}]' if row.note else ''}"
            body.append((name, [cell(c) for c in row.cells]))
            spreads = [f"{c.spread}  " if c is not None and c.spread else "" for c in row.cells]
            if any(spreads):
                body.append(("", spreads))
    rows = [line for line in body if isinstance(line, tuple)]
    names = max([escape.width(name) for name, _ in rows], default=0)
    widths = [max([8, *(escape.width(cells[i]) for _, cells in rows)]) for i in range(len(table.columns))]
    heads = [
        textwrap.wrap(f"{c.heading}{f' {c.letter}' if c.letter else ''}", width - 2, break_long_words=False)
        for c, width in zip(table.columns, widths, strict=True)
    ]
    widths = [max(width, *(escape.width(part) + 2 for part in head)) for head, width in zip(heads, widths, strict=True)]
    height = max(map(len, heads), default=0)
    heads = [[""] * (height - len(head)) + [f"{part}  " for part in head] for head in heads]

    def line(name: str, cells: Sequence[str]) -> str:
        parts = [name + " " * (names - escape.width(name))]
        parts += [" " * (width - escape.width(part)) + part for part, width in zip(cells, widths, strict=True)]
        return " ".join(parts).rstrip()

    rule = "─" * (names + sum(widths) + len(widths))
    lines = [escape.plain(table.title), rule, *(line("", part) for part in zip(*heads, strict=True)), rule]
    lines += [entry if isinstance(entry, str) else line(*entry) for entry in body]
    marks = MARKS_NOTE.replace("Bold", "*").replace("underlined", "_")
    notes = [marks if note == MARKS_NOTE else f"{mark} {note}".strip() for mark, note in table.notes]
    return "\n".join([*lines, rule, *notes]) + "\n"


def latex(tables: Sequence[Table]) -> str:
    """The tables with booktabs rules: a document for pdflatex, and a part of a paper when it is \\input there."""

    def cell(cell: Cell | None) -> str:
        if cell is None:
            return "--"
        number = escape.latex(cell.text)
        number = {"best": rf"\textbf{{{number}}}", "second": rf"\underline{{{number}}}", None: number}[cell.mark]
        note = rf"\textsuperscript{{{escape.latex(cell.note)}}}" if cell.note else ""
        return number + note + (rf"\,{{\tiny {escape.latex(cell.spread)}}}" if cell.spread else "")

    return _render("table.tex.j2", tables=tables, cell=cell, latex=escape.latex)


def _render(template: str, **values: object) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # LaTeX: every value passes through escape.latex instead
        undefined=jinja2.StrictUndefined,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**values)


def csv(ours: pd.DataFrame, published: pd.DataFrame) -> str:
    """All numbers of a task in tidy form: ours (:func:`reports.tables.tidy`), then the published ones.

    Values are those of the records, unrounded and unscaled; the published rows have the role "published", a protocol that says
    so, and what the paper printed, formulas and "±" included, under ``printed``.
    """
    half = published["plus_minus"].where(published["plus_minus"] == "", "±" + published["plus_minus"])
    theirs = pd.DataFrame(
        {
            "record": published["paper"] + ", " + published["source_table"],
            "task": published["task"],
            "data": published["dataset"],
            "row": published["label"],
            "role": "published",
            "metric": published["metric"],
            "protocol": published["note"],
            "value": published["number"],
            "higher_is_better": published["higher_is_better"],
            "printed": published["value"] + half,
        }
    )
    frames = [frame for frame in (ours, theirs) if len(frame)]
    columns = [*(column for column in ours.columns if column != "mark"), "mark", "printed"]
    frame = pd.concat(frames, ignore_index=True).reindex(columns=columns) if frames else ours
    frame["n"] = frame["n"].astype("Int64")
    return frame.to_csv(index=False, lineterminator="\n")
