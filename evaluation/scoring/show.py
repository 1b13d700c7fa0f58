"""Numbers as aligned text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evaluation.records import MetricValue


def table(values: Iterable[MetricValue]) -> str:
    """One line a number: name, value, 95% interval, sample count, protocol; ↑ and ↓ say which way is better."""
    lines = [("metric", "value", "95% interval", "n", "protocol")]
    for value in values:
        places = decimals(value)
        low, high = (f"{edge:.{places}f}" for edge in value.ci95)
        arrow = "↑" if value.higher_is_better else "↓"
        lines.append(
            (f"{value.name} {arrow}", f"{value.value:.{places}f}", f"{low} … {high}", f"{value.n:,}", value.protocol)
        )
    return columns(lines, left=(0, 4))


def decimals(value: MetricValue) -> int:
    """Places behind the point: two for large numbers, more for small ones and for narrow intervals."""
    size = min((abs(each) for each in (value.value, value.ci95[1] - value.ci95[0]) if each), default=1.0)
    places = 2
    while places < 6 and size < 10.0 ** (1 - places):
        places += 1
    return places


def columns(lines: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """Aligned columns, those in ``left`` flush left, with a rule under the first line."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([shown[0], "─" * max(map(len, shown)), *shown[1:]])
