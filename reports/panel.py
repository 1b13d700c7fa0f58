"""A small drawing with a title, and words for those who cannot see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.axes import Axes

from reports.style import Theme


@dataclass(frozen=True, kw_only=True)
class Panel:
    """``draw(axes, theme)`` draws it under ``title`` and ``subtitle``; ``alt`` says what is to be seen."""

    title: str
    subtitle: str
    alt: str
    draw: Callable[[Axes, Theme], None]
