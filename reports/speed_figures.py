"""Plots of a benchmark's record: cost against tokens on logarithmic axes, and what the diagonal schedule saves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from evaluation.speed import Measurement, SpeedRecord
from reports.figures import Panel, label_ends
from reports.speed import DENSE, DIRECTIONS, exponent, grid_text
from reports.style import Theme

_TITLES = {"forward": "Attention, forward", "forward+backward": "Attention, forward and backward"}
_OURS = ("nearby3d", "axial3d", "block3d")


def cost_panels(record: SpeedRecord) -> Iterator[Panel]:
    """A panel for each direction: every variant by its fastest backend, dense causal SDPA and the peers."""
    for direction in DIRECTIONS:
        rows = [row for row in record.rows if row.group == "attention" and row.direction == direction and row.times]
        curves = dict(_curves(rows))
        if any(len(curve) > 1 for curve in curves.values()):
            setting = rows[0].setting
            yield Panel(
                title=_TITLES[direction],
                subtitle=f"causal, {setting}, {rows[0].dtype}",
                alt=f"{_TITLES[direction]}: milliseconds against tokens ({setting}). {_spoken(curves)}",
                draw=partial(_draw_cost, curves=curves, peers={row.name for row in rows if row.peer}),
            )


def _curves(rows: Sequence[Measurement]) -> Iterator[tuple[str, list[Measurement]]]:
    """Names with their rows by tokens: of each of our variants the backend that is fastest on the most tokens."""
    dense = [row for row in rows if (row.name, row.backend) == DENSE]
    if dense:
        yield "dense SDPA", sorted(dense, key=_tokens)
    for name in dict.fromkeys(row.name for row in rows if row.name != DENSE[0]):
        of_name = [row for row in rows if row.name == name]
        last = [row for row in of_name if row.tokens == max(map(_tokens, of_name))]
        best = min(last, key=_median).backend
        yield name, sorted((row for row in of_name if row.backend == best), key=_tokens)


def _tokens(row: Measurement) -> int:
    return row.tokens


def _median(row: Measurement) -> float:
    assert row.times is not None
    return row.times.median


def _spoken(curves: Mapping[str, Sequence[Measurement]]) -> str:
    return "; ".join(
        f"{name}: " + ", ".join(f"{row.tokens:,} tokens {1000 * _median(row):.3g} ms" for row in curve)
        for name, curve in curves.items()
    )


def _draw_cost(axes: Axes, theme: Theme, curves: Mapping[str, Sequence[Measurement]], peers: set[str]) -> None:
    ends = []
    for name, curve in curves.items():
        ours = name in _OURS
        colour = theme.series[_OURS.index(name)] if ours else theme.muted if name in peers else theme.ink
        x, y = [row.tokens for row in curve], [1000 * _median(row) for row in curve]
        dashes = (0, (4, 1.5)) if name in peers else "solid"
        axes.plot(x, y, color=colour, marker="o", linestyle=dashes, linewidth=2.0 if ours else 1.5, zorder=3)
        power = exponent(curve)
        ends.append((y[-1], f"{name} ({power:.2f})" if power is not None else name, colour))
    axes.set_xscale("log")
    axes.set_yscale("log")
    tokens = sorted({row.tokens for curve in curves.values() for row in curve})
    shown = [n for i, n in enumerate(tokens) if i == 0 or n > 1.3 * tokens[i - 1]]
    axes.set_xticks(shown, [f"{n:,}" for n in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(numticks=9))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("tokens (in brackets: fitted power)" if any("(" in name for _, name, _ in ends) else "tokens")
    axes.set_ylabel("ms")
    label_ends(axes, ends)


def decoding_panels(record: SpeedRecord) -> Iterator[Panel]:
    """Two panels for each grid and model: steps, and seconds; a line from one by one to diagonal for every variant."""
    rows = [row for row in record.rows if row.group == "decoding"]
    for grid, setting in dict.fromkeys((row.grid, row.setting) for row in rows):
        here = [row for row in rows if (row.grid, row.setting) == (grid, setting)]
        steps = {row.label: (row.name, row.backend, float(row.steps)) for row in here if row.steps}
        seconds = {row.label: (row.name, row.backend, row.times.median) for row in here if row.times}
        for values, title, unit in ((steps, "Decoding steps", "steps"), (seconds, "Decoding time", "seconds")):
            if {backend for _, backend, _ in values.values()} >= {"diagonal", "one by one"}:
                spoken = "; ".join(f"{label}: {value:,.3g}" for label, (_, _, value) in values.items())
                yield Panel(
                    title=f"{title}, {grid_text(grid)}",
                    subtitle=setting if unit == "seconds" else f"{math.prod(grid):,} tokens",
                    alt=f"{title} on {grid_text(grid)} ({setting}), {unit}. {spoken}.",
                    draw=partial(_draw_decoding, values=list(values.values()), unit=unit),
                )


def _draw_decoding(axes: Axes, theme: Theme, values: Sequence[tuple[str, str, float]], unit: str) -> None:
    names = list(dict.fromkeys(name for name, _, _ in values))
    for y, name in enumerate(names):
        found = {backend: value for other, backend, value in values if other == name}
        slow = found.get("one by one", found.get("generate"))
        fast = found.get("diagonal")
        if slow and fast:
            axes.plot([fast, slow], [y, y], color=theme.grid, linewidth=4, solid_capstyle="butt", zorder=1)
            axes.annotate(
                f"{slow / fast:,.1f}×" if slow / fast < 99.5 else f"{slow / fast:,.0f}×",
                (math.sqrt(slow * fast), y),
                xytext=(0, 5),
                textcoords="offset points",
                color=theme.muted,
                fontsize=8,
                ha="center",
            )
        if slow:
            axes.plot([slow], [y], marker="o", markersize=7, color=theme.muted, linestyle="none", zorder=3)
        if fast:
            axes.plot([fast], [y], marker="o", markersize=7, color=theme.series[0], linestyle="none", zorder=4)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.9)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set_xscale("log")
    numbers = [value for _, _, value in values]
    axes.set_xlim(min(numbers) / 1.6, max(numbers) * 1.6)
    decades = math.log10(max(numbers) / min(numbers))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 1.5 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(unit)
    for shift, text, colour in ((0, "diagonal", theme.series[0]), (62, "one by one", theme.muted)):
        axes.annotate(
            f"● {text}",
            (0, 1),
            xycoords="axes fraction",
            xytext=(shift, 0),
            textcoords="offset points",
            color=colour,
            fontsize=8,
            va="top",
        )
