"""The same pictures under several protocols: a ladder of the numbers, and what makes each difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from evaluation.protocols import PROTOCOLS
from evaluation.protocols.differences import differences
from evaluation.records import MetricValue, Record, Row
from reports.columns import look_of_column
from reports.panel import Panel
from reports.style import Theme, drawable


def protocol_panels(record: Record) -> Iterator[Panel]:
    """A panel for every metric that a row has under more than one protocol, the lowest number on top."""
    for row, name, values in _several(record):
        values = sorted(values, key=lambda value: value.value)
        look = look_of_column(name, [value.value for value in values])
        spoken = ", ".join(f"{value.protocol} {look.text(value.value)}" for value in values)
        yield Panel(
            title=f"{name} under {len(values)} protocols",
            subtitle=f"{row.name} on {record.dataset.name}, lines are 95% intervals",
            alt=f"{name} of {row.name} under {len(values)} protocols: {spoken}.",
            draw=partial(_draw, values=values),
        )


def reasons(record: Record) -> list[str]:
    """A sentence for every two protocols of one metric in a row, where both are known: what makes the difference."""
    found = []
    for _, _, values in _several(record):
        found += list(differences([value for value in values if value.protocol in PROTOCOLS]))
    return found


def _several(record: Record) -> Iterator[tuple[Row, str, list[MetricValue]]]:
    for row in record.rows:
        by_name: dict[str, list[MetricValue]] = {}
        for value in row.metrics:
            by_name.setdefault(value.name, []).append(value)
        yield from ((row, name, values) for name, values in by_name.items() if len(values) > 1)


def _draw(axes: Axes, theme: Theme, values: Sequence[MetricValue]) -> None:
    look = look_of_column(values[0].name, [value.value for value in values])
    places = np.arange(len(values))
    for place, value in zip(places, values, strict=True):
        axes.plot(value.ci95, (place, place), color=theme.series[0], linewidth=2.2, alpha=0.35, solid_capstyle="butt")
        axes.plot(value.value, place, color=theme.series[0], marker="o")
        axes.annotate(
            look.text(value.value),
            (max(value.value, value.ci95[1]), place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=theme.ink,
            fontsize=8,
        )
    axes.set_yticks(places, [drawable(value.protocol.partition("@")[2], 24) for value in values])
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.margins(x=0.16)  # room for the numbers
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
