"""Quality against compute: what a config gains for what it costs, a panel for each leading metric of an ablation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from evaluation.ablations.record import AblationRecord, Costs, Score
from reports.ablation import metrics_of
from reports.columns import leading_columns, look_of_column
from reports.panel import Panel
from reports.style import Theme, drawable

SHOWN = 2  # metrics
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
                    subtitle=f"{protocol}, bars are 95% intervals over seeds and samples",
                    alt=f"{name} under {protocol} against {axis}. {spoken}.",
                    draw=partial(_draw, points=points, axis=axis, what=f"{name} {arrow}"),
                )


def _point(name: str, x: float, score: Score) -> Point:
    return Point(name.removeprefix("NÜWA-"), x, score.mean, *score.ci95)


def _draw(axes: Axes, theme: Theme, points: Sequence[Point], axis: str, what: str) -> None:
    for number, point in enumerate(points):
        colour = theme.series[number % len(theme.series)]
        axes.vlines([point.x], [point.low], [point.high], color=colour, linewidth=1.3, alpha=0.8, zorder=2)
        axes.plot([point.x], [point.y], marker="o", markersize=6, linestyle="none", color=colour, zorder=3)
        axes.annotate(
            drawable(point.name, 16),
            (point.x, point.y),
            xytext=(6, 4),
            textcoords="offset points",
            color=colour,
            fontsize=8,
        )
    axes.set_xlabel(axis)
    axes.set_ylabel(what)
    axes.set_xlim(0, max(point.x for point in points) * 1.15)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(y=0.12)
