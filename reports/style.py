"""The look of every figure, in a light and a dark theme, and saving with the same bytes each time."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from reports import escape

FONT = "DejaVu Sans"  # shipped with matplotlib, so figures do not depend on the machine's fonts


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours: ``series`` tell models apart, ``faint`` is for rows that only orient."""

    name: str
    paper: str
    ink: str
    muted: str
    faint: str
    grid: str
    series: tuple[str, ...]


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1d2129",
    muted="#5d6673",
    faint="#9aa3b0",
    grid="#e6e8ec",
    series=("#2563c9", "#c2570c", "#13805f", "#8445c4", "#b3305f", "#7a6a12"),
)
DARK = Theme(
    name="dark",
    paper="#171b22",
    ink="#e8eaee",
    muted="#a3acb9",
    faint="#6f7988",
    grid="#2b313b",
    series=("#7db0ff", "#f5a35c", "#56c9a0", "#c09bf7", "#f58cb0", "#d4c25a"),
)


@contextlib.contextmanager
def drawing(theme: Theme) -> Iterator[None]:
    """Settings for figures made inside; the settings outside stay as they were."""
    settings: dict[str, object] = {
        "font.family": FONT,
        "font.size": 9.0,
        "axes.titlesize": 10.0,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelcolor": theme.muted,
        "axes.edgecolor": theme.grid,
        "axes.facecolor": theme.paper,
        "axes.titlecolor": theme.ink,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "figure.facecolor": theme.paper,
        "grid.color": theme.grid,
        "grid.linewidth": 0.8,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
        "text.color": theme.ink,
        "text.parse_math": False,  # a row may be called "$x$"
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "xtick.minor.size": 0,
        "ytick.minor.size": 0,
    }
    with mpl.rc_context(settings):  # type: ignore[arg-type]  # matplotlib's keys are a Literal of 300 names
        yield


def png(figure: Figure, dpi: int = 160) -> bytes:
    """``figure`` as PNG without date or version."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """``figure`` as SVG without date or version; letters are paths, so it looks the same everywhere."""
    buffer = io.BytesIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with mpl.rc_context({"svg.hashsalt": "nuwa", "svg.fonttype": "path"}):  # ids are random without a salt
        FigureCanvasSVG(figure).print_figure(buffer, format="svg", metadata=metadata)
    return buffer.getvalue()


def drawable(text: str, limit: int = 10_000) -> str:
    """``text`` on one line and at most ``limit`` characters long, for a figure.

    A character that the figures' font does not have is replaced by its code point.
    """
    text = "".join(char if ord(char) in _glyphs() else f"[U+{ord(char):04X}]" for char in escape.one_line(text))
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


@lru_cache
def _glyphs() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())
