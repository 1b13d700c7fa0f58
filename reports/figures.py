"""Curves of a run: FID against the blur radius, quality of the frames of a prediction, training losses, use of the codebook.

A panel is a small drawing with a title and words for those who cannot see it. ``curves.png`` puts all panels of a run
on one sheet; the page shows them one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from evaluation.records import Record
from reports.columns import FID_K, FID_RADII, look_of_column
from reports.panel import Panel
from reports.protocols import protocol_panels
from reports.runs import Run
from reports.style import Theme, drawable, drawing

_BINS = 240  # a longer log is drawn as the mean and the range of this many stretches
_WIDTH_IN, _HEIGHT_IN = 4.3, 3.05  # of one panel
_MEASURES = {
    "val_l1_levels": "Held-out error in grey levels",
    "usage": "Codes in use",
    "perplexity": "Codebook perplexity",
}
_LOSSES = {"loss": "training", "val_loss": "validation", "val_loss_without_caption": "validation, no caption"}
_FRAME = re.compile(r"(?P<metric>.+), frame (?P<number>[0-9]{1,4})")
_BESIDE = 0.07  # between the bars of two rows, in blur radii or frames
_LOG_RATIO = 20.0  # values that differ more than this get a logarithmic axis
_DASHES = {"real": (0, (1, 1.2)), "reconstruction": (0, (4, 1.5)), "baseline": (0, (6, 1.5, 1, 1.5))}

Curves = Mapping[str, Sequence[tuple[int, float, float, float]]]
"""Points (x, value, low, high) by the name of a row."""


def panels(run: Run, published: pd.DataFrame) -> list[Panel]:
    """All panels there are data for, scores first."""
    found = [*fid_panels(run.record, published), *frame_panels(run.record), *protocol_panels(run.record)]
    for stage, log in run.logs.items():
        found += training_panels(stage, log)
    return found


def sheet(parts: Sequence[Panel], theme: Theme, columns: int | None = None) -> Figure:
    """All panels on one sheet, ``columns`` side by side, by default two or three."""
    columns = min(len(parts), columns or (3 if len(parts) > 4 else 2))
    rows = -(-len(parts) // columns)
    with drawing(theme):
        figure = Figure(figsize=(_WIDTH_IN * columns, _HEIGHT_IN * rows), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr, call-arg]
        for i, part in enumerate(parts):
            axes = figure.add_subplot(rows, columns, i + 1)
            part.draw(axes, theme)
            axes.set_title(drawable(part.title, 45), pad=19)
            axes.annotate(
                drawable(part.subtitle, 60),
                xy=(0, 1),
                xycoords="axes fraction",
                xytext=(0, 7),
                textcoords="offset points",
                color=theme.muted,
                fontsize=8,
            )
    return figure


def fid_panels(record: Record, published: pd.DataFrame) -> Iterator[Panel]:
    """FID-k of the record's rows, a panel a protocol, then the published curves in a panel of their own."""
    rows = [(row, metric) for row in record.rows for metric in row.metrics if metric.name in FID_K]
    for protocol in dict.fromkeys(metric.protocol for _, metric in rows):
        curves: dict[str, list[tuple[int, float, float, float]]] = {}
        roles = {row.name: row.role for row, metric in rows if metric.protocol == protocol}
        for row, metric in rows:
            if metric.protocol == protocol:
                curves.setdefault(row.name, []).append((FID_K.index(metric.name), metric.value, *metric.ci95))
        if any(len(curve) > 1 for curve in curves.values()):
            values = {name: [point[:2] for point in curve] for name, curve in curves.items()}
            yield Panel(
                title="FID against blur",
                subtitle=f"{protocol}, bars are 95% intervals",
                alt=f"FID-k against the blur radius k under {protocol}. {_spoken(values)}",
                draw=partial(_draw_fid, curves=curves, roles=roles),
            )
    theirs = published[(published["task"] == record.task) & published["metric"].isin(FID_K)]
    if len(theirs):
        printed: dict[str, list[tuple[int, float]]] = {}
        for number in theirs.to_dict("records"):
            printed.setdefault(number["label"], []).append((FID_K.index(number["metric"]), float(number["number"])))
        printed = {name: curve for name, curve in printed.items() if len(curve) > 1}
        where = f"{theirs['dataset'].iloc[0]}, {theirs['source_table'].iloc[0]}"
        yield Panel(
            title="Published, not comparable",
            subtitle=f"{where}, protocol unknown",
            alt=f"Published FID-k against k ({where}), protocol unknown, not comparable. {_spoken(printed)}",
            draw=partial(_draw_published, curves=printed),
        )


def frame_panels(record: Record) -> Iterator[Panel]:
    """A panel for each metric that has a number for every frame ("SSIM, frame 2"), of the rows of the record's own split."""
    own = [row for row in record.rows if not row.sampling.get("split")]
    found = [(row, metric, of) for row in own for metric in row.metrics if (of := _FRAME.fullmatch(metric.name))]
    for name, protocol in dict.fromkeys((of["metric"], metric.protocol) for _, metric, of in found):
        curves: dict[str, list[tuple[int, float, float, float]]] = {}
        for row, metric, of in found:
            if (of["metric"], metric.protocol) == (name, protocol):
                curves.setdefault(row.name, []).append((int(of["number"]), metric.value, *metric.ci95))
        look = look_of_column(name, [point[1] for curve in curves.values() for point in curve])
        told = (
            f"{row}: " + ", ".join(f"frame {point[0]} {look.text(point[1])}" for point in sorted(curve))
            for row, curve in curves.items()
        )
        yield Panel(
            title=f"{name} of each predicted frame",
            subtitle=f"{protocol}, bars are 95% intervals",
            alt=f"{name} of each predicted frame under {protocol}. {'; '.join(told)}",
            draw=partial(_draw_frames, curves=curves, roles={row.name: row.role for row in own}),
        )


def _spoken(curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    look = look_of_column("FID", [value for curve in curves.values() for _, value in curve])
    return "; ".join(
        f"{name}: " + ", ".join(f"k={FID_RADII[i]} {look.text(value)}" for i, value in sorted(curve))
        for name, curve in curves.items()
    )


def _draw_fid(axes: Axes, theme: Theme, curves: Curves, roles: Mapping[str, str]) -> None:
    _finish_fid(axes, _draw_rows(axes, theme, curves, roles))


def _draw_frames(axes: Axes, theme: Theme, curves: Curves, roles: Mapping[str, str]) -> None:
    ends = _draw_rows(axes, theme, curves, roles)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("predicted frame")
    _scale(axes, log=False)
    label_ends(axes, ends)


def _draw_rows(axes: Axes, theme: Theme, curves: Curves, roles: Mapping[str, str]) -> list[tuple[float, str, str]]:
    """A line for each row with its intervals, models in colour; where each ends, its name and its colour."""
    ends, models = [], [name for name in curves if roles[name] == "model"]
    for number, (name, curve) in enumerate(curves.items()):
        x, y, low, high = (np.array(part) for part in zip(*sorted(curve), strict=True))
        beside = x + _BESIDE * (number - (len(curves) - 1) / 2)  # intervals overlap, so their bars stand side by side
        if name in models:
            colour, order = theme.series[models.index(name) % len(theme.series)], 3
            axes.plot(beside, y, color=colour, marker="o", markersize=3.5, zorder=order)
        else:
            colour, order = theme.muted, 2
            axes.plot(beside, y, color=colour, linestyle=_DASHES[roles[name]], linewidth=1.3, zorder=order)
        bottom = np.maximum(
            low, min(y.min(), high.min()) * 1e-3
        )  # a logarithmic axis has no nought; it lies below the frame
        axes.vlines(beside, bottom, high, color=colour, linewidth=1.1, alpha=0.75, zorder=order)
        ends.append((float(y[-1]), name, colour))
    return ends


def _draw_published(axes: Axes, theme: Theme, curves: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    ends = []
    for name, curve in curves.items():
        x, y = zip(*sorted(curve), strict=True)
        ours = name == "NÜWA"
        axes.plot(x, y, color=theme.ink if ours else theme.faint, marker="o", linewidth=1.8 if ours else 1.2, zorder=2)
        ends.append((float(y[-1]), name, theme.ink if ours else theme.muted))
    _finish_fid(axes, ends)


def _finish_fid(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    axes.set_xticks(range(len(FID_RADII)), [f"{k}" for k in FID_RADII])
    axes.set_xlabel("blur radius k (pixels of a 256-pixel picture)")
    axes.set_xlim(-0.25, len(FID_RADII) - 1 + 0.25)
    _scale(axes, log=True)
    label_ends(axes, ends)


def _scale(axes: Axes, log: bool) -> None:
    """A logarithmic y axis where ``log`` allows it and values differ widely, else one from nought or near the data."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    values = values[np.isfinite(values)]
    if log and values.size and values.min() > 0 and values.max() / values.min() > _LOG_RATIO:
        axes.set_yscale("log")
        axes.set_ylim(values.min() / 2, values.max() * 1.6)  # an interval that reaches nought leaves at the bottom
        decades = np.log10(values.max() / values.min())
        axes.yaxis.set_major_locator(LogLocator(subs=(1,) if decades > 2.5 else (1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif values.size:
        low, high = values.min(), values.max()
        axes.set_ylim(0 if 0 <= low < 0.5 * high else low - 0.08 * (high - low or 1), high + 0.08 * (high - low or 1))
        axes.yaxis.set_major_locator(MaxNLocator(5))


def label_ends(axes: Axes, ends: list[tuple[float, str, str]], gap: float = 0.075) -> None:
    """Names beside the last points, in axes fractions, pushed apart where they would touch."""
    to_axes = axes.transData + axes.transAxes.inverted()
    places = [(float(to_axes.transform((0, y))[1]), name, colour) for y, name, colour in ends if np.isfinite(y)]
    heights: list[float] = []
    for height, *_ in sorted(places):
        heights.append(max(height, heights[-1] + gap) if heights else height)
    excess = max(0.0, heights[-1] - 1.0) if heights else 0.0
    for i in range(len(heights) - 1, -1, -1):  # what left the top moves down, with its lower neighbours
        top = 1.0 if i == len(heights) - 1 else heights[i + 1] - gap
        heights[i] = min(heights[i], top) if excess else heights[i]
    for (_, name, colour), height in zip(sorted(places), heights, strict=True):
        axes.annotate(
            drawable(name, 28),  # a longer one would leave no room for the curves
            (1.02, height),
            xycoords="axes fraction",
            color=colour,
            fontsize=8,
            va="center",
            clip_on=False,
        )


def training_panels(stage: str, log: pd.DataFrame) -> Iterator[Panel]:
    """Losses, held-out error and use of the codebook of one stage; other numbers, such as gradient norms, stay out."""
    losses = [name for name in log.columns if "loss" in name]
    if losses:
        yield _log_panel("Loss", stage, log, losses)
    for name, title in _MEASURES.items():
        if name in log.columns:
            yield _log_panel(title, stage, log, [name])


def _log_panel(title: str, stage: str, log: pd.DataFrame, names: Sequence[str]) -> Panel:
    def course(name: str) -> str:
        values = log[name].dropna()
        return f"{name} from {values.iloc[0]:.4g} to {values.iloc[-1]:.4g}" if len(values) else f"{name}: no numbers"

    steps = f"{log['step'].iloc[0]:,.0f} to {log['step'].iloc[-1]:,.0f}"
    counted = names[0] in ("usage", "perplexity") and "usage_tokens" in log.columns
    of = f", of {log['usage_tokens'].dropna().iloc[-1]:,.0f} held-out tokens" if counted else ""
    return Panel(
        title=title,
        subtitle=f"training stage: {stage}{of}",
        alt=f"{title} of stage {stage}, steps {steps}: {'; '.join(map(course, names))}.",
        draw=partial(_draw_log, log=log, names=names),
    )


def _draw_log(axes: Axes, theme: Theme, log: pd.DataFrame, names: Sequence[str]) -> None:
    ends = []
    for i, name in enumerate(names):
        series = log[["step", name]].replace([np.inf, -np.inf], np.nan).dropna()
        if series.empty:
            continue
        colour = theme.series[i % len(theme.series)]
        if len(series) > _BINS:
            bins = series.groupby(np.arange(len(series)) * _BINS // len(series))
            mean, low, high = bins.mean(), bins[name].min(), bins[name].max()
            axes.fill_between(mean["step"], low, high, color=colour, alpha=0.16, linewidth=0)
            series = mean
        marker = "o" if len(series) <= 20 else ""  # few points are points
        axes.plot(series["step"], series[name], color=colour, linewidth=1.5, marker=marker, markersize=3)
        ends.append((float(series[name].iloc[-1]), _LOSSES.get(name, name), colour))
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.margins(x=0.01)
    if not axes.lines:
        axes.text(0.5, 0.5, "no finite numbers", transform=axes.transAxes, color=theme.muted, ha="center")
        return
    _scale(axes, log="loss" in names[0])
    if (
        list(names) == ["usage"]
        and max(np.nanmax(np.asarray(line.get_ydata(), dtype=float)) for line in axes.lines) <= 1
    ):
        axes.set_ylim(0, 1.04)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    if len(ends) > 1:
        label_ends(axes, ends)
