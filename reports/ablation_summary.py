"""What an ablation says: all its tables, one short table for a README, and whether the order of the paper's rows holds."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from evaluation.ablations.record import AblationRecord
from reports.ablation import (
    as_record,
    costs_table,
    difference_cell,
    differences_table,
    metrics_of,
    row_name,
    score_of,
    versus_of,
)
from reports.ablation import column as made_column
from reports.ablation_losses import losses_table
from reports.columns import look_of_column, title_of
from reports.tables import Cell, Column, Table, build_tables


def tables(record: AblationRecord, published: pd.DataFrame) -> tuple[Table, ...]:
    """All tables: scores above the published rows, and what stands beside them; what has nothing to show is left out."""
    first, *others = build_tables({record.name: as_record(record)}, record.task, published)
    if said := order_said(record, published):
        first = replace(first, notes=(("", said), *first.notes))
    return (first, *others, *beside_scores(record))


def beside_scores(record: AblationRecord) -> tuple[Table, ...]:
    """What scores alone do not say: differences from the first row, losses on held-out data, costs."""
    made = (differences_table(record), losses_table(record), costs_table(record))
    return tuple(table for table in made if table is not None)


def summary_table(record: AblationRecord, published: pd.DataFrame) -> Table:
    """Scores, and beside each its difference from the first row, in one table without published rows: for a README."""
    scores = build_tables({record.name: as_record(record)}, record.task, published.iloc[:0])[0]
    by_name = {row_name(row): row for row in record.rows}
    first = record.rows[0].name
    columns: list[Column] = []
    for column in scores.columns:
        columns += [column, made_column(f"{column.metric} less {first}", None, column.unit)]
    groups = []
    for group in scores.groups:
        rows = []
        for row in group.rows:
            cells: list[Cell | None] = []
            for column, cell in zip(scores.columns, row.cells, strict=True):
                metric = (column.metric, column.protocol or "")
                of_row = by_name.get(row.name)
                values = [versus.value for each in record.rows if (versus := versus_of(each, metric))]
                look = look_of_column(column.metric, [abs(value) for value in values])
                cells += [cell, difference_cell(versus_of(of_row, metric) if of_row else None, look)]
            rows.append(replace(row, cells=tuple(cells)))
        groups.append(replace(group, rows=tuple(rows)))
    said = order_said(record, published)
    differences = differences_table(record)
    notes = [("", said)] if said else []
    notes += [*scores.notes, *(differences.notes if differences else ())]
    return replace(
        scores, slug=f"{record.task}-summary", columns=tuple(columns), groups=tuple(groups), notes=tuple(notes)
    )


def order_said(record: AblationRecord, published: pd.DataFrame) -> str | None:
    """Whether the order of the paper's rows, by its leading metric, holds here, in a sentence or two.

    None where fewer than three of our rows are the paper's. The order of the means alone would say too much, so the differences
    from the first row that are significant are named.
    """
    theirs = published[published["task"] == record.task]
    for metric, protocol in metrics_of(record):
        printed = theirs[theirs["metric"] == metric]
        means = {row.name: score.mean for row in record.rows if (score := score_of(row, (metric, protocol)))}
        printed = printed[printed["model"].isin(list(means))].sort_values("number", kind="stable")
        if len(printed) < 3:
            continue
        expected = list(printed["model"])
        found = sorted(expected, key=lambda name: means[name])
        look = look_of_column(metric, list(means.values()))
        ours = " < ".join(f"{_short(name)} {look.text(means[name])}" for name in found)
        holds = "holds" if found == expected else "does not hold"
        where = title_of(record.scored).lower()
        return (
            f"The paper's order in {metric}, {' < '.join(map(_short, expected))}, {holds} at this scale, on {where}: "
            f"our means are {ours}. {_significant_said(record, (metric, protocol))}"
        )
    return None


def _significant_said(record: AblationRecord, metric: tuple[str, str]) -> str:
    """How many of the differences from the first row are significant, and which."""
    versus = {row.name: found for row in record.rows if (found := versus_of(row, metric))}
    clear = [_short(name) for name, found in versus.items() if found.is_significant]
    first = record.rows[0].name
    if not versus:
        return f"Nothing was compared with {first}."
    if not clear:
        return f"No difference from {first} is significant, so the order of the means says little."
    verb = "is" if len(clear) == 1 else "are"
    return f"Of {len(versus)} differences from {first}, {len(clear)} {verb} significant ({', '.join(clear)})."


def _short(name: str) -> str:
    return name.removeprefix("NÜWA-")
