"""The drawing shows what the masks say."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_hex

from nuwa import Grid
from nuwa.attention import ATTENTION, Nearby3D, mask
from reports.patterns import GRID, QUERY, alt, sheet, specs
from reports.style import DARK, LIGHT, Theme, png


def test_every_registered_variant_has_its_row() -> None:
    figure = sheet()
    assert [spec.name for spec in specs()] == ATTENTION.names()
    assert [axes.get_ylabel() for axes in figure.axes[::4]] == ATTENTION.names()


@pytest.mark.parametrize("causal", [False, True], ids=["self", "causal"])
@pytest.mark.parametrize("row", range(4))
def test_cells_are_coloured_as_the_mask_says(row: int, causal: bool) -> None:
    cells = sheet(LIGHT).axes[4 * row + 2 * causal].patches
    place = (QUERY[0] * GRID.h + QUERY[1]) * GRID.w + QUERY[2]
    seen = mask(specs()[row], GRID, causal=causal)[place].tolist()
    colours = [to_hex(cell.get_facecolor()) for cell in cells]
    assert colours[place] == LIGHT.series[1]
    assert [colour != LIGHT.grid for colour in colours] == seen


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_the_same_bytes_each_time(theme: Theme) -> None:
    assert png(sheet(theme), 40) == png(sheet(theme), 40)


def test_words_for_those_who_cannot_see_it() -> None:
    assert alt().endswith("nearby3d: 18, causal 14.")


def test_a_query_outside_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a cell \(frame, row, column\) of grid 1x2x2, got \(0, 2, 0\)"):
        sheet(variants=[Nearby3D()], grid=Grid(1, 2, 2), query=(0, 2, 0))
