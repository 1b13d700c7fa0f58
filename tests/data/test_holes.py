"""Holes to learn completion from: of every kind, never none at all, a function of stream and counter alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nuwa.data.holes import SHARES, holes

H, W = 6, 9
MANY = holes(7, np.arange(4000), H, W)


@given(st.integers(0, 50), st.integers(1, 9), st.integers(1, 9))
def test_something_is_hidden_on_any_grid(stream: int, h: int, w: int) -> None:
    found = holes(stream, np.arange(20), h, w)
    assert (found.shape, found.dtype) == ((20, h, w), bool)
    assert found.any(axis=(1, 2)).all()


def test_a_hole_belongs_to_its_counter() -> None:
    order = np.array([17, 3, 3, 999])
    assert np.array_equal(holes(7, order, H, W), MANY[order])
    assert not np.array_equal(holes(8, order, H, W), MANY[order])


def test_every_cell_is_hidden_about_half_of_the_time() -> None:
    share = MANY.mean(axis=0)
    assert 0.3 < share.min() < share.max() < 0.65


def test_the_kinds_and_their_shares() -> None:
    """Told apart by their form: a box is the product of its shadows; so is what is left by all but a box."""

    def boxes(cells: np.ndarray) -> np.ndarray:
        shadows = cells.any(axis=2, keepdims=True) & cells.any(axis=1, keepdims=True)
        rows, columns = cells.any(axis=2).astype(int), cells.any(axis=1).astype(int)
        runs = [(np.diff(np.pad(line, ((0, 0), (1, 1))), axis=1) == 1).sum(axis=1) == 1 for line in (rows, columns)]
        return (cells == shadows).all(axis=(1, 2)) & runs[0] & runs[1]

    box, inverse = boxes(MANY), boxes(~MANY)
    whole = MANY.all(axis=(1, 2))
    side = box & (inverse | whole)  # what is left beside one side is a box too
    assert side.mean() > 0.8 * SHARES["one side"]
    assert abs((box | inverse | whole).mean() - (1 - SHARES["free form"])) < 0.04
    assert (inverse & ~box).mean() > 0.05
    assert 0 < whole.mean() < 0.1


def test_free_forms_hide_a_quarter_to_three_quarters() -> None:
    free = MANY[np.array([_corners(hole) > 12 for hole in MANY])]
    assert len(free) > 50
    assert free.mean(axis=(1, 2)).min() >= 0.2
    assert free.mean(axis=(1, 2)).max() <= 0.8


def _corners(hole: np.ndarray) -> int:
    """Of the outline: 4 of a box in the middle."""
    padded = np.pad(hole, 1).astype(int)
    blocks = padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]
    return int((blocks % 2 == 1).sum())
