"""Who sees whom: every attention variant on a small grid, as the cells that one query sees and as its whole mask."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nuwa.attention import ATTENTION, AttentionSpec, Block3D, mask
from nuwa.grid import Grid
from reports.style import LIGHT, Theme, drawing

GRID = Grid(2, 4, 4)
QUERY = (1, 2, 1)  # frame, row, column
TITLES = {"self": "self attention", "causal": "causal self attention"}


def specs() -> list[AttentionSpec]:
    """One of each registered variant; blocks of two cells a side, as the default block would hold the whole small grid."""
    return [Block3D(block=(2, 2, 2)) if name == Block3D.name else ATTENTION[name]() for name in ATTENTION]


def sheet(
    theme: Theme = LIGHT,
    variants: Sequence[AttentionSpec] | None = None,
    grid: Grid = GRID,
    query: tuple[int, int, int] = QUERY,
) -> Figure:
    """A row for each variant: what ``query`` sees in each frame, and the mask of all cells; without and with causality.

    ValueError where ``query`` (frame, row, column) is not a cell of ``grid``.
    """
    if not all(0 <= place < length for place, length in zip(query, grid.shape, strict=True)):
        raise ValueError(f"query: expected a cell (frame, row, column) of grid {grid}, got {query}; count from 0")
    variants = specs() if variants is None else variants
    width = 0.28 * (grid.w + 1) * grid.t
    with drawing(theme):
        figure = Figure(figsize=(2 * width + 3.8, 1.55 * len(variants) + 0.5), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.1, wspace=0.03)  # type: ignore[union-attr, call-arg]
        axes = figure.subplots(len(variants), 4, squeeze=False, width_ratios=(width, 1.5, width, 1.5))
        for row, spec in zip(axes, variants, strict=True):
            for i, causal in enumerate((False, True)):
                cells, pairs = row[2 * i], row[2 * i + 1]
                _draw_cells(cells, theme, spec, grid, query, causal)
                _draw_mask(pairs, theme, spec, grid, causal)
            row[0].set_ylabel(spec.name, color=theme.ink, fontweight="bold", fontsize=10)
        for i, title in enumerate(TITLES.values()):
            axes[0, 2 * i].set_title(title, pad=10)
    return figure


def alt(variants: Sequence[AttentionSpec] | None = None, grid: Grid = GRID, query: tuple[int, int, int] = QUERY) -> str:
    """Words for those who cannot see the drawing."""
    place = (query[0] * grid.h + query[1]) * grid.w + query[2]
    counts = [
        f"{spec.name}: {int(mask(spec, grid)[place].sum())}, causal {int(mask(spec, grid, causal=True)[place].sum())}"
        for spec in (specs() if variants is None else variants)
    ]
    return f"Cells of a grid of {grid} that cell {query} sees, of {grid.size}. {'; '.join(counts)}."


def legend(grid: Grid = GRID, query: tuple[int, int, int] = QUERY) -> str:
    """What the drawings show, in a sentence or two."""
    return (
        f"Who sees whom on {grid.t} frames of {grid.h}×{grid.w} cells. Left, what the orange cell (frame {query[0]}, row "
        f"{query[1]}, column {query[2]}) sees, right of it the whole mask with a row for each query and a column for each key. "
        "Borders clip, causal means raster order, and blocks are two cells a side here."
    )


def _draw_cells(
    axes: Axes, theme: Theme, spec: AttentionSpec, grid: Grid, query: tuple[int, int, int], causal: bool
) -> None:
    seen = mask(spec, grid, causal=causal).view(*grid.shape, *grid.shape)[query]
    for t, h, w in grid.coordinates().tolist():
        x, y = w + t * (grid.w + 1), h
        asked = (t, h, w) == query
        colour = theme.series[1] if asked else theme.series[0] if seen[t, h, w] else theme.grid
        axes.add_patch(Rectangle((x, y), 0.9, 0.9, facecolor=colour, linewidth=0))
    for t in range(grid.t):
        axes.text(t * (grid.w + 1), grid.h + 0.15, f"frame {t}", color=theme.muted, fontsize=8, va="top")
    axes.set(xlim=(0, (grid.w + 1) * grid.t - 1), ylim=(grid.h + 0.8, 0), aspect="equal", xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _draw_mask(axes: Axes, theme: Theme, spec: AttentionSpec, grid: Grid, causal: bool) -> None:
    seen = mask(spec, grid, causal=causal)
    axes.imshow(
        seen.numpy(), cmap=ListedColormap([theme.grid, theme.series[0]]), vmin=0, vmax=1, interpolation="nearest"
    )
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(f"{int(seen.sum())} of {seen.numel()} pairs", fontsize=8)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
