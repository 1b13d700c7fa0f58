"""The figures of one task from all its records and runs: FID-k, quality of frames, codes in use, and training curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from evaluation.records import MetricValue, Record
from reports.columns import look
from reports.figures import fid_panels, frame_panels, training_panels
from reports.panel import Panel
from reports.runs import Run
from reports.style import Theme, drawable

USAGE = "codebook usage"


def task_panels(
    records: Mapping[str, Record], runs: Mapping[str, Run], published: pd.DataFrame, task: str
) -> list[Panel]:
    """Panels of the records of ``task`` and of the logs of their runs, the published curves once; named where several are."""
    ours: list[Panel] = []
    mine = {name: record for name, record in records.items() if record.task == task}
    for name, record in mine.items():
        made = [*fid_panels(record, published.iloc[:0]), *frame_panels(record)]
        if name in runs:
            made += [part for stage, log in runs[name].logs.items() for part in training_panels(stage, log)]
        ours += made if len(mine) == 1 else [replace(part, title=f"{part.title}: {name}") for part in made]
    if mine:
        ours += [
            part for part in fid_panels(next(iter(mine.values())), published) if part.title.startswith("Published")
        ]
    return ours


def codebook_panels(records: Mapping[str, Record]) -> Iterator[Panel]:
    """Which share of its codes each record's tokenizer uses, under one protocol; none where fewer than two records say it."""
    found: dict[str, dict[str, MetricValue]] = {}
    for name, record in records.items():
        for row in record.rows:
            for metric in row.metrics:
                if metric.name == USAGE and not row.sampling.get("split"):
                    label = name if row.role == "reconstruction" else f"{name}, {row.name}"
                    found.setdefault(metric.protocol, {})[label] = metric
    for protocol, values in found.items():
        if len(values) > 1:
            told = ", ".join(f"{name} {look(USAGE).text(value.value)}%" for name, value in values.items())
            yield Panel(
                title="Codes in use",
                subtitle=f"{protocol}, lines are 95% intervals",
                alt=f"Share of codes in use under {protocol}: {told}.",
                draw=partial(_draw_usage, values=list(values.items())),
            )


def _draw_usage(axes: Axes, theme: Theme, values: Sequence[tuple[str, MetricValue]]) -> None:
    for place, (_, value) in enumerate(values):
        axes.plot(value.ci95, (place, place), color=theme.series[0], linewidth=2.2, alpha=0.35, solid_capstyle="butt")
        axes.plot(value.value, place, color=theme.series[0], marker="o")
    axes.set_yticks(np.arange(len(values)), [drawable(name, 24) for name, _ in values])
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
