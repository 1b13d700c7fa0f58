"""Two records side by side: what changed, and which change is more than chance.

Where both runs kept their bootstrap replicates of a number (:mod:`evaluation.replicates`), the difference is taken draw by
draw: what a sample does to both drops out. Else its interval comes from the two intervals (:mod:`reports.difference`), wider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.ablations import statistics
from evaluation.records import MetricValue, Record
from evaluation.replicates import Key
from reports import escape
from reports.columns import look_of_column
from reports.difference import Number, difference

Floats = NDArray[np.float64]
Verdict = Literal["better", "worse", "no clear change"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One number before and after; ``low`` and ``high`` bound the difference after - before with 95% confidence.

    ``paired`` says whether it was taken draw by draw.
    """

    row: str
    role: str
    before: MetricValue
    after: MetricValue
    low: float
    high: float
    paired: bool = False

    @property
    def verdict(self) -> Verdict:
        """Whether the number got better or worse beyond chance."""
        if self.low <= 0 <= self.high:
            return "no clear change"
        return "better" if (self.low > 0) == self.after.higher_is_better else "worse"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All numbers both records have, those only one has, and what else differs between the records.

    ``incomparable`` are numbers of model rows that the records have under different protocols.
    """

    changes: tuple[Change, ...]
    incomparable: tuple[str, ...]
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    settings: tuple[str, ...]

    @property
    def regressions(self) -> tuple[str, ...]:
        """Numbers of model rows that got clearly worse, that cannot be compared any more, and that are gone."""
        worse = (f"{c.row}: {c.after.name}" for c in self.changes if c.role == "model" and c.verdict == "worse")
        return (*worse, *self.incomparable, *(f"{name} is gone" for name in self.lost))


def compare(
    before: Record,
    after: Record,
    drawn_before: Mapping[Key, Floats] | None = None,
    drawn_after: Mapping[Key, Floats] | None = None,
) -> Comparison:
    """Compare the records, draw by draw where both have replicates (r,) of a number of equally many samples.

    ValueError where task or data differ, since then no two numbers can be set side by side, and where nothing is in both.
    """
    if (before.task, before.dataset) != (after.task, after.dataset):
        raise ValueError(
            f"expected two records of one task on one data set, got {_data(before)} and {_data(after)}; "
            "run both models on the same data"
        )
    old, new = _numbers(before), _numbers(after)
    changes = []
    for key in old.keys() & new.keys():
        (role, was), (_, now) = old[key], new[key]
        if was.higher_is_better != now.higher_is_better:
            raise ValueError(f"metric {was.name!r}: the records disagree on higher_is_better; run both again")
        pair = ((drawn_before or {}).get(key), (drawn_after or {}).get(key))
        changes.append(_change(key[0], role, was, now, pair))
    order = list(old)
    lost = {key: None for key, (role, _) in old.items() if key not in new and role == "model"}
    gained = {key: None for key in new if key not in old}
    moved = [(key, other) for key in lost for other in gained if key[:2] == other[:2]]
    elsewhere = {key for pair in moved for key in pair}
    if not changes:
        raise ValueError(
            "expected two records with a number in common, got none of the same row, metric and protocol; "
            "score both models under the same protocols"
        )
    return Comparison(
        changes=tuple(sorted(changes, key=lambda c: order.index((c.row, c.before.name, c.before.protocol)))),
        incomparable=tuple(
            f"{key[0]}: {key[1]} was under {key[2]} and is under {other[2]}, which cannot be compared"
            for key, other in moved
        ),
        lost=tuple(_label(key) for key in lost if key not in elsewhere),
        gained=tuple(_label(key) for key in gained if key not in elsewhere),
        settings=tuple(_settings(before, after)),
    )


def _change(
    row: str, role: str, was: MetricValue, now: MetricValue, drawn: tuple[Floats | None, Floats | None]
) -> Change:
    old, new = drawn
    if old is not None and new is not None and old.shape == new.shape and was.n == now.n:
        found = statistics.difference([now.value], [new], [was.value], [old])
        low, high = found.ci95
        return Change(row=row, role=role, before=was, after=now, low=low, high=high, paired=True)
    low, high = difference(_number(was), _number(now))
    return Change(row=row, role=role, before=was, after=now, low=low, high=high)


def _data(record: Record) -> str:
    d = record.dataset
    return f"{record.task} on {d.name} {d.version} {d.split} ({d.fingerprint[:8]})"


def _label(key: Key) -> str:
    row, metric, protocol = key
    return f"{row}: {metric} under {protocol}"


def _numbers(record: Record) -> dict[Key, tuple[str, MetricValue]]:
    return {(row.name, m.name, m.protocol): (row.role, m) for row in record.rows for m in row.metrics}


def _number(metric: MetricValue) -> Number:
    return Number(metric.value, *metric.ci95)


def _settings(before: Record, after: Record) -> Iterator[str]:
    """What differs besides the numbers, as ``model.params: 7 → 8``."""
    old, new = (_flat({k: v for k, v in asdict(r).items() if k not in _RESULTS}) for r in (before, after))
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            yield f"{key}: {old.get(key, 'not set')} → {new.get(key, 'not set')}"


_RESULTS = ("rows", "timings_s", "peak_memory_gib", "skipped")


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def text(comparison: Comparison) -> str:
    """The numbers that moved, aligned for a terminal, model rows first; then what else differs, then the verdict."""
    moved = [change for change in comparison.changes if change.before.value != change.after.value]
    head = ("row", "metric", "before", "after", "difference", "95% interval", "")
    lines = [_line(change) for change in sorted(moved, key=lambda change: change.role != "model")]
    widths = [max(map(escape.width, column)) for column in zip(head, *lines, strict=True)]
    body = [
        "  ".join(
            part + " " * (width - escape.width(part)) if i in (0, 1, 6) else " " * (width - escape.width(part)) + part
            for i, (part, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (head, *lines)
    ]
    body.insert(1, "─" * max(map(escape.width, body)))
    paired = sum(change.paired for change in comparison.changes)
    extras = [
        f"{len(comparison.changes) - len(moved)} of {len(comparison.changes)} numbers are the same",
        *([f"{paired} differences are taken draw by draw on the same samples"] if paired else []),
        *(f"changed: {setting}" for setting in comparison.settings),
        *(f"gained: {name}" for name in comparison.gained),
        *(f"lost: {name}" for name in comparison.lost),
        *(f"not compared: {name}" for name in comparison.incomparable),
    ]
    count = len(comparison.regressions)
    verdict = (
        f"{count} regression{'s' * (count != 1)}: {'; '.join(comparison.regressions)}" if count else "no regression"
    )
    return "\n".join([*(body if moved else []), *map(escape.plain, extras), escape.plain(verdict)]) + "\n"


def _line(change: Change) -> tuple[str, ...]:
    was, now = change.before, change.after
    look = look_of_column(was.name, [was.value, now.value])
    signed = [
        f"{'+' if value > 0 else ''}{look.text(value)}" for value in (now.value - was.value, change.low, change.high)
    ]
    mark = {"better": "better", "worse": "WORSE", "no clear change": ""}[change.verdict]
    return (
        escape.plain(change.row),
        escape.plain(f"{was.name}{f' ({look.unit})' if look.unit else ''} {'↑' if was.higher_is_better else '↓'}"),
        look.text(was.value),
        look.text(now.value),
        signed[0],
        f"{signed[1]} … {signed[2]}",
        mark,
    )
