"""Records of the benchmarks to tables: cost against tokens, our attention beside its peers, and steps of decoding.

Times are medians. Nothing is ranked: rows on one machine can be compared by eye, and between machines only ratios can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from evaluation.speed import Direction, Measurement, SpeedRecord
from reports.tables import Cell, Column, Group, Table, TableRow

PAPER_CLIP = (10, 21, 21)
FIT_FROM = 1000
DIRECTIONS: tuple[Direction, ...] = ("forward", "forward+backward")
DENSE = ("full", "sdpa")
_WHOLE = ("rounds", "peak_extra_bytes", "query_bytes", "flops", "steps", "samples", "parameters", "peak_bytes")
_WORDS = {"forward": "forward", "forward+backward": "forward and backward"}


def grid_text(grid: Sequence[int]) -> str:
    """``10×21×21``."""
    return "×".join(map(str, grid))


def attention_grids(rows: Iterable[Measurement]) -> list[tuple[int, int, int]]:
    """Grids of the attention rows by their number of tokens."""
    return sorted({row.grid for row in rows if row.group == "attention"}, key=lambda grid: (math.prod(grid), grid))


def exponent(rows: Iterable[Measurement]) -> float | None:
    """Slope of log time over log tokens by least squares, on grids of 1,000 tokens and more; None for fewer than three.

    Below that the fixed price of a call flattens the slope.
    """
    points = [(row.tokens, row.times.median) for row in rows if row.times is not None and row.tokens >= FIT_FROM]
    if len({tokens for tokens, _ in points}) < 3:
        return None
    tokens, seconds = np.log(np.array(points)).T
    return float(np.polyfit(tokens, seconds, 1)[0])


def cost_table(record: SpeedRecord, direction: Direction) -> Table | None:
    """Milliseconds by grid for every way to compute every variant, the fitted exponent, and memory. None without rows."""
    rows = [row for row in record.rows if row.group == "attention" and row.direction == direction]
    if not rows:
        return None
    grids = attention_grids(rows)
    largest = PAPER_CLIP if PAPER_CLIP in grids else grids[-1]
    columns = [_column(grid_text(grid), "ms") for grid in grids]
    columns += [_column("exponent"), _column(f"peak memory at {grid_text(largest)}", "size of Q")]
    groups = []
    for name in dict.fromkeys(row.name for row in rows):
        lines = []
        for label in dict.fromkeys(row.label for row in rows if row.name == name):
            found = {row.grid: row for row in rows if row.label == label}
            cells = [_time_cell(found.get(grid)) for grid in grids]
            cells += [_number(exponent(found.values()), 2), _memory_cell(found.get(largest))]
            lines.append(TableRow(name=_row_name(found), source=record.name, cells=tuple(cells)))
        peer = any(row.peer for row in rows if row.name == name)
        groups.append(Group(kind="reference" if peer else "model", title=name, rows=tuple(lines)))
    return Table(
        slug=f"cost-{direction.replace('+', '-')}",
        title=f"Cost of causal attention against tokens, {_WORDS[direction]}",
        columns=tuple(columns),
        groups=tuple(groups),
        notes=(
            ("", f"Milliseconds for {rows[0].setting}, {rows[0].dtype}. {_machine(record)}"),
            ("", f"Exponent: fitted power of the number of tokens, on grids of {FIT_FROM:,} tokens and more."),
            ("", "Peak memory is taken on top of queries, keys and values, results included, in sizes of the queries."),
            *_reasons(rows),
        ),
    )


def peers_table(record: SpeedRecord) -> Table | None:
    """Our sparse attention on the paper's clip beside dense causal SDPA and others. None where that grid was not timed."""
    rows = {
        (row.name, row.backend, row.direction): row
        for row in record.rows
        if row.group == "attention" and row.grid == PAPER_CLIP
    }
    ran = {key[:2] for key, row in rows.items() if row.times is not None}
    theirs = [key[:2] for key, row in rows.items() if row.peer and row.times is not None]
    rivals = list(dict.fromkeys([DENSE, *theirs]))
    if not any((*DENSE, direction) in rows for direction in DIRECTIONS):
        return None
    columns = []
    for direction in DIRECTIONS:
        columns.append(_column(_WORDS[direction], "ms"))
        columns += [_column(f"times as fast as {_short(rival)}", better=True) for rival in rivals]
        columns.append(_column("peak memory", "size of Q"))
    groups = []
    for name in dict.fromkeys(key[0] for key in rows if key[:2] in ran):
        lines = []
        for backend in dict.fromkeys(key[1] for key in rows if key[0] == name and key[:2] in ran):
            cells: list[Cell | None] = []
            for direction in DIRECTIONS:
                row = rows.get((name, backend, direction))
                cells.append(_time_cell(row))
                cells += [_ratio(rows.get((*rival, direction)), row) for rival in rivals]
                cells.append(_memory_cell(row))
            lines.append(TableRow(name=_backend_name(name, backend), source=record.name, cells=tuple(cells)))
        peer = any(row.peer for key, row in rows.items() if key[0] == name)
        groups.append(Group(kind="reference" if peer else "model", title=name, rows=tuple(lines)))
    some = next(iter(rows.values()))
    return Table(
        slug="cost-peers",
        title=f"Causal attention on {grid_text(PAPER_CLIP)} beside its peers",
        columns=tuple(columns),
        groups=tuple(groups),
        notes=(
            ("", f"{some.setting}, {some.dtype}. {_machine(record)}"),
            (
                "",
                "A peer computes its own pattern: nuwa-pytorch's sees the past octant of the window, not its raster past.",
            ),
            *_reasons([row for row in rows.values() if row.peer]),
        ),
    )


def decoding_table(record: SpeedRecord) -> Table | None:
    """Steps and seconds of sampling, one cell at a time and along diagonals. None without rows."""
    rows = [row for row in record.rows if row.group == "decoding"]
    if not rows:
        return None
    columns = (
        _column("steps, one by one"),
        _column("steps, diagonal"),
        _column("fewer steps", "×", better=True),
        _column("one by one", "s"),
        _column("diagonal", "s"),
        _column("faster", "×", better=True),
    )
    groups = []
    for grid, setting in dict.fromkeys((row.grid, row.setting) for row in rows):
        here = [row for row in rows if (row.grid, row.setting) == (grid, setting)]
        for peer in (False, True):
            lines = []
            for name in dict.fromkeys(row.name for row in here if row.peer == peer):
                of_name = {row.backend: row for row in here if row.name == name}
                slow, fast = of_name.get("one by one") or of_name.get("generate"), of_name.get("diagonal")
                shown = fast
                if peer:  # its ratios are those to ours
                    fast = next((row for row in here if row.backend == "diagonal"), None)
                ratio = slow.steps / fast.steps if slow and fast and slow.steps and fast.steps else None
                cells = (
                    _steps_cell(slow),
                    _steps_cell(shown),
                    _number(ratio, 1),
                    _seconds_cell(slow),
                    _seconds_cell(shown),
                    _ratio(slow, fast),
                )
                lines.append(TableRow(name=name, source=record.name, cells=cells))
            if lines:
                title = f"{grid_text(grid)}, {math.prod(grid):,} tokens, {setting}"
                groups.append(
                    Group(
                        kind="reference" if peer else "model",
                        title=f"Peers on {grid_text(grid)}" if peer else title,
                        rows=tuple(lines),
                    )
                )
    return Table(
        slug="decoding",
        title="Decoding: steps and wall clock",
        columns=columns,
        groups=tuple(groups),
        notes=(
            ("", f"Both orders draw the same tokens and keep the same caches; random weights. {_machine(record)}"),
            ("", "A peer draws one by one; its ratios are those to our diagonal decoding on the same grid."),
            *_reasons(rows),
        ),
    )


def training_table(record: SpeedRecord) -> Table | None:
    """Time, MFU, tokens a second and memory of training steps, by grid and by attention. None without rows."""
    rows = [row for row in record.rows if row.group == "training"]
    if not rows:
        return None
    columns = (
        _column("step", "s"),
        _column("MFU", "%", better=True),
        _column("target tokens", "/s", better=True),
        _column("samples a step", better=None),
        _column("peak memory", "GiB"),
    )
    groups = []
    for grid in dict.fromkeys(row.grid for row in rows):
        here = [row for row in rows if row.grid == grid]
        title = f"{grid_text(grid)}, {math.prod(grid):,} tokens a sample"
        lines = [
            TableRow(name=f"{row.name}, {row.backend}", source=record.name, cells=_training_cells(row)) for row in here
        ]
        groups.append(Group(kind="model", title=title, rows=tuple(lines)))
    return Table(
        slug="training",
        title="Training steps",
        columns=columns,
        groups=tuple(groups),
        notes=(
            ("", f"{rows[0].setting}, {rows[0].dtype}. {_machine(record)}"),
            ("", "A row is the attention of the encoder and of the decoder, and whether the layers were compiled."),
            ("", "MFU: the model's own operations, of pairs that meet alone, over the device's peak in bfloat16."),
            *_reasons(rows),
        ),
    )


def _training_cells(row: Measurement) -> tuple[Cell | None, ...]:
    found = row.training
    if found is None:
        return (_seconds_cell(row), None, None, None, None)
    memory = None if found.peak_bytes is None else found.peak_bytes / 2**30
    return (
        _seconds_cell(row),
        _number(None if found.mfu is None else 100 * found.mfu, 1),
        _number(found.tokens_per_s, 0),
        _number(found.samples, 0),
        _number(memory, 1),
    )


def tables(record: SpeedRecord) -> dict[str, tuple[Table, ...]]:
    """All tables of a record by the name of their file, ``cost``, ``decoding`` and ``training``, where they have rows."""
    cost = [peers_table(record), *(cost_table(record, direction) for direction in DIRECTIONS)]
    found = {"cost": cost, "decoding": [decoding_table(record)], "training": [training_table(record)]}
    kept = {name: tuple(table for table in made if table is not None) for name, made in found.items()}
    return {name: made for name, made in kept.items() if made}


def tidy(record: SpeedRecord, group: str) -> pd.DataFrame:
    """The measurements of a group, one a row, in seconds and bytes, unrounded."""
    table = pd.DataFrame(
        [
            {
                "record": record.name,
                "name": row.name,
                "peer": row.peer,
                "backend": row.backend,
                "direction": row.direction,
                "grid": "x".join(map(str, row.grid)),
                "tokens": row.tokens,
                "setting": row.setting,
                "dtype": row.dtype,
                "median_s": row.times.median if row.times else None,
                "min_s": row.times.min if row.times else None,
                "max_s": row.times.max if row.times else None,
                "rounds": row.times.rounds if row.times else None,
                "first_s": row.times.first if row.times else None,
                "agreement": row.agreement,
                "peak_extra_bytes": row.peak_extra_bytes,
                "query_bytes": row.query_bytes,
                "flops": row.flops,
                "steps": row.steps,
                "not_run": row.not_run,
                **({} if row.training is None else asdict(row.training)),
            }
            for row in record.rows
            if row.group == group
        ]
    )
    return table.astype({name: "Int64" for name in _WHOLE if name in table})


def csv(record: SpeedRecord, group: str) -> str:
    """:func:`tidy` as CSV."""
    return tidy(record, group).to_csv(index=False, lineterminator="\n")


def _column(metric: str, unit: str = "", better: bool | None = False) -> Column:
    return Column(metric=metric, protocol=None, higher_is_better=better, unit=unit, letter=None)


def _row_name(rows: dict[tuple[int, int, int], Measurement]) -> str:
    row = next(iter(rows.values()))
    return _backend_name(row.name, row.backend)


def _backend_name(name: str, backend: str) -> str:
    return f"{backend} (dense causal SDPA)" if (name, backend) == DENSE else backend


def _short(rival: tuple[str, str]) -> str:
    return "dense SDPA" if rival == DENSE else rival[0]


def _cell(row: Measurement | None, text: Callable[[Measurement], str | None]) -> Cell | None:
    """A number of ``row``, or in its place a word why there is none."""
    if row is None:
        return None
    if row.times is None:
        return Cell(text=_word(row.not_run or ""))
    made = text(row)
    return None if made is None else Cell(text=made)


def _word(reason: str) -> str:
    return "OOM" if reason.startswith("out of memory") else "too long" if "s a pass" in reason else "–"


def _time_cell(row: Measurement | None) -> Cell | None:
    return _cell(row, lambda row: _digits(1000 * row.times.median) if row.times else None)


def _seconds_cell(row: Measurement | None) -> Cell | None:
    return _cell(row, lambda row: _digits(row.times.median) if row.times else None)


def _memory_cell(row: Measurement | None) -> Cell | None:
    def text(row: Measurement) -> str | None:
        return f"{row.peak_extra_bytes / row.query_bytes:.1f}" if row.peak_extra_bytes and row.query_bytes else None

    return _cell(row, text)


def _steps_cell(row: Measurement | None) -> Cell | None:
    return None if row is None or row.steps is None else Cell(text=f"{row.steps:,}", value=float(row.steps))


def _ratio(slow: Measurement | None, fast: Measurement | None) -> Cell | None:
    if slow is None or fast is None or slow.times is None or fast.times is None:
        return None
    return _number(slow.times.median / fast.times.median, 1)


def _number(value: float | None, decimals: int) -> Cell | None:
    return None if value is None else Cell(text=f"{value:,.{decimals}f}", value=value)


def _digits(value: float) -> str:
    """Three digits of a positive number.

    >>> _digits(1234.5), _digits(12.345), _digits(0.01234)
    ('1,234', '12.3', '0.0123')
    """
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"


def _machine(record: SpeedRecord) -> str:
    made = record.environment
    threads = f", {made.threads} thread{'s' if made.threads > 1 else ''}" if made.device.startswith("cpu") else ""
    quick = "; a quick run of few rounds" if record.quick else ""
    return f"Measured on {made.device}{threads}, torch {made.torch}, {record.date}{quick}."


def _reasons(rows: Sequence[Measurement]) -> list[tuple[str, str]]:
    """One note for each reason why something was not run, with all that it kept from running."""
    everywhere = tuple(dict.fromkeys(grid_text(row.grid) for row in rows))
    notes = []
    for reason in dict.fromkeys(row.not_run for row in rows if row.not_run is not None):
        places: dict[str, dict[str, None]] = {}
        for row in rows:
            if row.not_run == reason:
                places.setdefault(row.label, {})[grid_text(row.grid)] = None
        by_place: dict[tuple[str, ...], list[str]] = {}
        for label, found in places.items():
            by_place.setdefault(tuple(found), []).append(label)
        what: list[str] = []
        for grids, labels in by_place.items():
            there = {row.label for row in rows if grid_text(row.grid) in grids}
            who = "everything" if set(labels) == there and len(there) > 1 else ", ".join(labels)
            what.append(who if grids == everywhere else f"{who} on {', '.join(grids)}")
        notes.append(("", f"Not run: {'; '.join(what)}: {reason}."))
    return notes
