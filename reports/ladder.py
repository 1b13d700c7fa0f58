"""Where a model stands between its reference rows: one line per metric, from the baseline to real data.

A score by small judges means little by itself. Between what comes without skill, what the tokenizer allows and what
real data reach, it can be read by anybody.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from reports.columns import FID_K, Look, leading_columns, look_of_column
from reports.tables import leading

_LOG_RATIO = 20.0


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One row on the line: its printed value, its place and its interval in percent from worst to best."""

    name: str
    role: str
    text: str
    interval: str
    place: float
    low: float
    high: float
    leads: bool


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """All rows of one metric under one protocol; ``way`` says how far the leading model got towards real data."""

    metric: str
    arrow: str
    unit: str
    protocol: str
    logarithmic: bool
    rungs: tuple[Rung, ...]
    way: str | None

    @property
    def leader(self) -> Rung:
        """The best model row."""
        return next(rung for rung in self.rungs if rung.leads)


def ladders(frame: pd.DataFrame, task: str) -> list[Ladder]:
    """A ladder for every leading metric of ``task`` that a model and at least one reference row have.

    ``frame`` is :func:`reports.tables.tidy`'s, of one record, whose first split is shown. FID-1 to FID-8 have curves of their
    own and no ladder.
    """
    found = []
    frame = leading(frame[frame["data"].isin(frame["data"].iloc[:1])], task)
    for metric in leading_columns(task):
        if metric in FID_K[1:]:
            continue
        for protocol, rows in frame[frame["metric"] == metric].groupby("protocol", sort=False):
            models = rows["role"] == "model"
            if models.any() and not models.all():
                found.append(_ladder(metric, str(protocol), rows))
    return found


def _ladder(metric: str, protocol: str, rows: pd.DataFrame) -> Ladder:
    look = look_of_column(metric, list(rows["value"]))
    better = bool(rows["higher_is_better"].iloc[0])
    models = rows[rows["role"] == "model"]
    best = models.index[int(models["value"].argmax() if better else models["value"].argmin())]
    logarithmic = not better and rows["value"].min() > 0 and rows["value"].max() / rows["value"].min() > _LOG_RATIO
    place = _axis(rows, better, logarithmic)
    rungs = [
        Rung(
            name=str(row["row"]),
            role=str(row["role"]),
            text=look.text(row["value"]),
            interval=look.interval(row["ci95_low"], row["ci95_high"]),
            place=place(row["value"]),
            low=min(place(row["ci95_low"]), place(row["ci95_high"])),
            high=max(place(row["ci95_low"]), place(row["ci95_high"])),
            leads=i == best,
        )
        for i, row in zip(rows.index, rows.to_dict("records"), strict=True)
    ]
    return Ladder(
        metric=metric,
        arrow="↑" if better else "↓",
        unit=look.unit,
        protocol=protocol,
        logarithmic=logarithmic,
        rungs=tuple(sorted(rungs, key=lambda rung: (rung.role == "model", rung.leads))),  # models are drawn last
        way=_way(rows, models["value"].max() if better else models["value"].min(), look, logarithmic),
    )


def _axis(rows: pd.DataFrame, better: bool, logarithmic: bool) -> Callable[[float], float]:
    """The place of a value on the line: 4% for the worst row, 96% for the best."""
    values = rows["value"]
    scale = math.log if logarithmic else float
    low, high = scale(values.min()), scale(values.max())

    def place(value: float) -> float:
        at = scale(max(value, values.min() / 4) if logarithmic else value)
        share = (at - low) / (high - low) if high > low else 0.5
        share = share if better else 1 - share
        return round(min(max(4 + 92 * share, 0.5), 99.5), 2)

    return place


def _way(rows: pd.DataFrame, best: float, look: Look, logarithmic: bool) -> str | None:
    """The leading model's share of the way from baseline to real data, in words, measured along the line."""
    real, baseline = rows.loc[rows["role"] == "real", "value"], rows.loc[rows["role"] == "baseline", "value"]
    if real.empty or baseline.empty or look.text(real.iloc[0]) == look.text(baseline.iloc[0]):
        return None
    at = math.log if logarithmic else float
    share = (at(best) - at(baseline.iloc[0])) / (at(real.iloc[0]) - at(baseline.iloc[0]))
    if share >= 1:
        return "level with real data or beyond"
    if share <= 0:
        return "no better than the baseline"
    where = ", on a logarithmic line" if logarithmic else ""
    return f"{100 * share:.0f}% of the way from baseline to real data{where}"
