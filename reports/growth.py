"""Table 7: how the cost of attention grows with the tokens: what is counted and measured above the paper's orders of growth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from evaluation.ablations.pairs import in_words
from evaluation.speed import Measurement, SpeedRecord
from nuwa.attention import ATTENTION
from nuwa.attention.cost import cost
from nuwa.grid import Grid
from reports.speed import FIT_FROM, PAPER_CLIP, exponent, grid_text
from reports.tables import Cell, Column, Group, Table, TableRow, build_tables

GRIDS = ((4, 16, 16), PAPER_CLIP, (10, 32, 32))
HEADS, WIDTH = 20, 64


def growth_table(benchmarks: Mapping[str, SpeedRecord], published: pd.DataFrame) -> Table:
    """The published orders of growth, and above them the fitted powers of the tokens: operations counted, time measured."""
    (theirs,) = build_tables({}, "cost", published)
    more = (
        _column("operations, fitted power"),
        _column(f"operations at {grid_text(PAPER_CLIP)}", "GFLOP"),
        _column("forward, fitted power"),
        _column(f"forward at {grid_text(PAPER_CLIP)}", "ms"),
    )
    ours = [Group(kind="model", title="Operations, counted from the definitions", rows=tuple(_counted()))]
    ours += [
        Group(kind="model", title=f"Time, {name} on {record.environment.device}", rows=rows)
        for name, record in benchmarks.items()
        if (rows := tuple(_timed(name, record)))
    ]
    padded = [group.widened(len(more)) for group in theirs.groups]
    notes = (
        f"Operations: pairs that meet, borders and causality included, of {HEADS} heads of {WIDTH}, on "
        f"{', '.join(map(grid_text, GRIDS))}; blocks have a fixed size here and a fixed number in the paper.",
        f"Fitted power: slope of the logarithm over that of the number of tokens, on grids of {FIT_FROM:,} tokens and more.",
        "Time is that of the fastest way to compute each variant.",
    )
    return Table(
        slug=theirs.slug,
        title=theirs.title,
        columns=(*theirs.columns, *more),
        groups=(*ours, *padded),
        notes=(*(("", note) for note in notes), *theirs.notes),
    )


def power(costs: Mapping[int, float]) -> float:
    """Slope of log cost over log tokens by least squares.

    >>> round(power({10: 3.0, 100: 300.0}), 9)
    2.0
    """
    tokens, values = np.log(np.array(list(costs.items()), dtype=np.float64)).T
    return float(np.polyfit(tokens, values, 1)[0])


def _counted() -> Iterator[TableRow]:
    for name in ATTENTION:
        spec = ATTENTION[name]()
        flops = {
            grid: float(cost(spec, Grid(*grid), causal=True, num_heads=HEADS, head_width=WIDTH).flops) for grid in GRIDS
        }
        fitted = power({math.prod(grid): value for grid, value in flops.items()})
        cells = (None, _number(fitted, 2), _number(flops[PAPER_CLIP] / 1e9, 2), None, None)
        yield TableRow(name=in_words(spec), source="nuwa.attention.cost", cells=cells)


def _timed(name: str, record: SpeedRecord) -> Iterator[TableRow]:
    mine = [
        row
        for row in record.rows
        if row.group == "attention" and row.direction == "forward" and not row.peer and row.times is not None
    ]
    for variant in dict.fromkeys(row.name for row in mine):
        of_variant = [row for row in mine if row.name == variant]
        last = max(row.tokens for row in of_variant)
        fastest = min((row for row in of_variant if row.tokens == last), key=_median)
        best = [row for row in of_variant if row.backend == fastest.backend]
        clip = next((row for row in best if row.grid == PAPER_CLIP), None)
        ms = None if clip is None else 1000 * _median(clip)
        cells = (None, None, None, _number(exponent(best), 2), _number(ms, 1))
        yield TableRow(name=fastest.label, source=name, cells=cells)


def _median(row: Measurement) -> float:
    assert row.times is not None
    return row.times.median


def _number(value: float | None, decimals: int) -> Cell | None:
    return None if value is None else Cell(text=f"{value:,.{decimals}f}", value=value)


def _column(metric: str, unit: str = "") -> Column:
    return Column(metric=metric, protocol=None, higher_is_better=False, unit=unit, letter=None)
