"""Quality against compute: what a config gains for what it costs, for each leading metric of an ablation; and its losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from evaluation.ablations.record import AblationRecord, Costs, Score
from reports.ablation import metrics_of
from reports.columns import leading_columns, look_of_column
from reports.figures import label_ends
from reports.panel import Panel
from reports.style import Theme, drawable

SHOWN = 2  # metrics
RUNNING = 5  # log lines
LONGEST = 16  # letters of a name in a figure
SIDES = ((1, 1), (1, -1), (-1, 1), (-1, -1))
LETTER_W, LETTER_H, DOT_W, DOT_H = 0.03, 0.065, 0.015, 0.02  # axes fractions
AXES: tuple[tuple[str, Callable[[Costs], float]], ...] = (
    ("GFLOP of a forward pass", lambda costs: costs.flops / 1e9),
    ("seconds to draw one sample", lambda costs: costs.decode_s),
)


class Point(NamedTuple):
    """A config: its compute and a mean with its interval."""

    name: str
    x: float
    y: float
    low: float
    high: float


def quality_panels(ablation: AblationRecord) -> Iterator[Panel]:
    """A panel for each of the first metrics and each kind of compute; none where costs were not measured."""
    leading = leading_columns(ablation.task)
    for name, protocol in [metric for metric in metrics_of(ablation) if metric[0] in leading][:SHOWN]:
        for axis, compute in AXES:
            points, better = [], False
            for row in ablation.rows:
                score = next((each for each in row.scores if (each.name, each.protocol) == (name, protocol)), None)
                if score is not None and row.costs is not None:
                    points.append(_point(row.name, compute(row.costs), score))
                    better = score.higher_is_better
            if len(points) > 1:
                look = look_of_column(name, [point.y for point in points])
                spoken = "; ".join(f"{p.name}: {p.x:.3g}, {look.text(p.y)}" for p in points)
                arrow = "↑" if better else "↓"
                yield Panel(
                    title=f"{name} {arrow} against compute",
                    subtitle=f"{protocol}, bars: 95% over seeds and samples",
                    alt=f"{name} under {protocol} against {axis}. {spoken}.",
                    draw=partial(_draw, points=points, axis=axis, what=f"{name} {arrow}"),
                )


def curve_panels(ablation: AblationRecord) -> Iterator[Panel]:
    """The training losses of all rows, each the mean over its seeds; none where no model was trained."""
    curves: dict[str, tuple[Sequence[int], NDArray[np.float64]]] = {}
    for row in ablation.rows:
        steps = [curve.steps for curve in row.curves]
        if steps and len(set(steps)) == 1:  # all seeds logged the same steps
            mean = np.mean([curve.loss for curve in row.curves], axis=0)
            curves[row.name] = (steps[0], mean)
    if curves:
        ends = "; ".join(f"{name} {loss[-RUNNING:].mean():.3f}" for name, (_, loss) in curves.items())
        yield Panel(
            title="Training loss",
            subtitle=f"nats a token, mean over seeds, running mean of {RUNNING} log lines",
            alt=f"Training loss of each row against the step; at the end {ends}.",
            draw=partial(_draw_curves, curves=curves),
        )


def _draw_curves(axes: Axes, theme: Theme, curves: Mapping[str, tuple[Sequence[int], NDArray[np.float64]]]) -> None:
    ends = []
    for number, (name, (steps, loss)) in enumerate(curves.items()):
        colour = theme.series[number % len(theme.series)]
        width = min(RUNNING, len(loss))
        smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
        axes.plot(steps[width - 1 :], smooth, color=colour, linewidth=1.4)
        ends.append((float(smooth[-1]), name.removeprefix("NÜWA-"), colour))
    axes.set_xlabel("step")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    label_ends(axes, ends)


def _point(name: str, x: float, score: Score) -> Point:
    return Point(name.removeprefix("NÜWA-"), x, score.mean, *score.ci95)


def _draw(axes: Axes, theme: Theme, points: Sequence[Point], axis: str, what: str) -> None:
    colours = [theme.series[number % len(theme.series)] for number in range(len(points))]
    for point, colour in zip(points, colours, strict=True):
        axes.vlines([point.x], [point.low], [point.high], color=colour, linewidth=1.3, alpha=0.8, zorder=2)
        axes.plot([point.x], [point.y], marker="o", markersize=6, linestyle="none", color=colour, zorder=3)
    axes.set_xlabel(axis)
    axes.set_ylabel(what)
    axes.set_xlim(0, max(point.x for point in points) * 1.15)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(y=0.12)
    for point, colour, (right, up) in zip(points, colours, label_sides(axes, points), strict=True):
        axes.annotate(
            drawable(point.name, LONGEST),
            (point.x, point.y),
            xytext=(6 * right, 5 * up),
            textcoords="offset points",
            color=colour,
            fontsize=8,
            ha="left" if right > 0 else "right",
            va="bottom" if up > 0 else "top",
        )


def label_sides(axes: Axes, points: Sequence[Point]) -> list[tuple[int, int]]:
    """For each point the side of its name, (right, up) with signs, where it covers the fewest points and names before it."""
    to_axes = axes.transData + axes.transAxes.inverted()
    places = [tuple(to_axes.transform((point.x, point.y))) for point in points]
    taken = [(x - DOT_W, x + DOT_W, y - DOT_H, y + DOT_H) for x, y in places]
    found = []
    for point, (x, y) in zip(points, places, strict=True):
        boxes = {side: _box(x, y, len(drawable(point.name, LONGEST)), *side) for side in SIDES}
        best = min(SIDES, key=lambda side: sum(_overlap(boxes[side], each) for each in taken))
        taken.append(boxes[best])
        found.append(best)
    return found


def _box(x: float, y: float, letters: int, right: int, up: int) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a name beside a point, in axes fractions."""
    left = x + 0.02 if right > 0 else x - 0.02 - LETTER_W * letters
    bottom = y + 0.01 if up > 0 else y - 0.01 - LETTER_H
    return left, left + LETTER_W * letters, bottom, bottom + LETTER_H


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[2], b[2]))
