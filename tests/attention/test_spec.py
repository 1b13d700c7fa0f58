"""Variants by name, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nuwa import Grid
from nuwa.attention import ATTENTION, Axial3D, Block3D, Full, Nearby3D, axial_in_turn, mask, over_layers


def test_the_four_variants_are_registered() -> None:
    assert ATTENTION.names() == ["full", "block3d", "axial3d", "nearby3d"]


@pytest.mark.parametrize("name", ATTENTION)
def test_a_variant_is_a_value_that_knows_its_name(name: str) -> None:
    spec = ATTENTION[name]()
    assert spec.name == name
    assert spec == ATTENTION[name]()
    assert hash(spec) == hash(ATTENTION[name]())


def test_unknown_variant_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"unknown attention variant 'nearby'; did you mean 'nearby3d'\?.*full, block3d"
    ):
        ATTENTION["nearby"]


@pytest.mark.parametrize(
    ("extent", "message"),
    [
        ((3, 2, 3), r"extent on axis h: expected an odd full window width or None, got 2; take 1 or 3"),
        ((0, 3, 3), r"extent on axis t: expected a whole number >= 1, got 0; use None"),
        ((3, 3, 3.0), r"extent on axis w: .* got 3.0"),
        ((3, 3, True), r"extent on axis w: .* got True"),
        ((3, 3), r"extent: expected three widths .* got \(3, 3\)"),
        ([3, 3, 3], r"extent: expected three widths .* give a tuple"),
    ],
)
def test_bad_extent(extent: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Nearby3D(extent=extent)


def test_bad_block() -> None:
    with pytest.raises(ValueError, match=r"block on axis w: expected a whole number >= 1, got -1"):
        Block3D(block=(2, 2, -1))
    assert Block3D(block=(2, None, 4)).block == (2, None, 4)  # even widths are fine for blocks


@pytest.mark.parametrize("axes", [(), ("x",), ("t", "t"), ["t"], "t", ("t", "h", "w", "t")])
def test_bad_axes(axes: Any) -> None:
    with pytest.raises(ValueError, match=r"axes: expected some of \('t', 'h', 'w'\), each once, got"):
        Axial3D(axes=axes)


def test_layers_of_one_axis_each_make_up_the_union() -> None:
    grid = Grid(3, 4, 5)
    lines = [mask(spec, grid, causal=True) for spec in axial_in_turn()]
    assert torch.equal(torch.stack(lines).any(dim=0), mask(Axial3D(), grid, causal=True))
    assert [int(line.sum(1).max()) for line in lines] == [3, 4, 5]


def test_a_pattern_is_repeated_over_depth() -> None:
    assert over_layers(Nearby3D(), 3) == (Nearby3D(),) * 3
    assert over_layers((Full(), Nearby3D()), 5) == (Full(), Nearby3D(), Full(), Nearby3D(), Full())
