"""Table 7: counted operations grow as the paper's orders say, and measured times stand beside them."""

from __future__ import annotations

import math

import pytest

from evaluation.records import Environment, GitState
from evaluation.speed import Measurement, SpeedRecord, Times
from nuwa.attention import ATTENTION
from reports import render
from reports.growth import growth_table
from reports.speed import PAPER_CLIP

GRIDS = ((4, 16, 16), PAPER_CLIP, (10, 32, 32))


def timed(backend: str, grid: tuple[int, int, int], seconds: float) -> Measurement:
    return Measurement(
        group="attention",
        name="nearby3d",
        peer=False,
        backend=backend,
        direction="forward",
        grid=grid,
        setting="20 heads of 64, batch 1",
        dtype="float32",
        times=Times(median=seconds, min=seconds, max=seconds, rounds=3, first=seconds),
        agreement=0.0,
        peak_extra_bytes=None,
        query_bytes=None,
        flops=None,
        steps=None,
        not_run=None,
    )


@pytest.fixture(scope="module")
def counted(published) -> dict[str, list[str | None]]:
    group = growth_table({}, published).groups[0]
    return {row.name: [cell.text if cell else None for cell in row.cells] for row in group.rows}


def test_every_variant_is_counted(counted) -> None:
    assert len(counted) == len(ATTENTION)


@pytest.mark.parametrize(
    ("variant", "low", "high"), [("full", 1.99, 2.01), ("axial", 1.2, 4 / 3), ("nearby", 1.0, 1.1)]
)
def test_operations_grow_as_the_orders_of_the_paper(counted, variant: str, low: float, high: float) -> None:
    """O(s²), O(s (t + h + w)), which is 4/3 for cubes, and O(s), which borders make a little more."""
    (fitted,) = (cells[1] for name, cells in counted.items() if name.startswith(variant))
    assert low <= float(fitted) <= high


def test_operations_of_full_attention_on_the_paper_s_clip(counted) -> None:
    """4 operations a number of every causal pair: 4 · 20 · 64 · 4410 · 4411 / 2."""
    (full,) = (cells[2] for name, cells in counted.items() if name.startswith("full"))
    assert full == f"{4 * 20 * 64 * 4410 * 4411 / 2 / 1e9:.2f}"


def test_times_are_those_of_the_fastest_backend(published) -> None:
    squares = tuple(1e-9 * math.prod(grid) ** 2 for grid in GRIDS)
    pace = {"gather": squares, "sdpa": (0.0001, 0.06, 0.2)}  # the second is faster on the smallest grid alone
    record = SpeedRecord(
        name="bench",
        date="2026-01-01",
        quick=False,
        environment=Environment(python="3.11", torch="2.14", device="cpu (EPYC)", threads=2, precision="float32"),
        packages={},
        git=GitState(commit=None, dirty=None),
        command="nox -s bench",
        rows=tuple(timed(name, grid, s) for name, times in pace.items() for grid, s in zip(GRIDS, times, strict=True)),
    )
    table = growth_table({"bench": record}, published)
    (row,) = table.groups[1].rows
    assert row.name == "nearby3d by gather"
    assert [cell.text if cell else None for cell in row.cells] == [None, None, None, "2.00", "19.4"]
    assert "| *axial* | O((hws)(h+w+s)) | – |" in render.markdown([table])
