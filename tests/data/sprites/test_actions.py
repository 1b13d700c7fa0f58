"""What actions do to an object, by closed forms, and which combinations there are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuwa.data.sprites import actions, world
from nuwa.data.sprites.actions import ACTIONS, BLINKS, BOUNCES, GROWS, SHRINKS, SPINS, STAYS
from nuwa.data.sprites.render import DISTANCES

MOMENTS = st.lists(st.floats(0, 1), min_size=1, max_size=8).map(np.array)


def test_moments() -> None:
    assert actions.moments(5).tolist() == [0, 0.2, 0.4, 0.6, 0.8]
    assert actions.moments(1).tolist() == [0]


@pytest.mark.parametrize("frames", [0, -1])
def test_no_frames(frames: int) -> None:
    with pytest.raises(ValueError, match=f"frames: expected at least 1, got {frames}"):
        actions.moments(frames)


@given(st.integers(1, 12), st.integers(1, 5))
def test_fewer_frames_are_some_of_more(frames: int, times: int) -> None:
    np.testing.assert_allclose(actions.moments(frames * times)[::times], actions.moments(frames), atol=1e-15)


def test_everything_starts_as_the_picture_shows_it() -> None:
    start = np.zeros(1)
    assert (actions.offset(start) == 0).all()
    assert (actions.scale(start) == 1).all()
    assert (actions.angle(start) == 0).all()
    assert actions.visible(start).all()


@given(MOMENTS)
def test_each_action_changes_one_thing(at: np.ndarray) -> None:
    changed = {
        "offset": (actions.offset(at) != 0).any(axis=(1, 2)),
        "scale": (actions.scale(at) != 1).any(axis=1),
        "angle": (actions.angle(at) != 0).any(axis=1),
        "visible": ~actions.visible(at).all(axis=1),
    }
    may = {"offset": {0, 1, 2, 3, BOUNCES}, "scale": {GROWS, SHRINKS}, "angle": {SPINS}, "visible": {BLINKS}}
    for name, which in changed.items():
        assert set(np.flatnonzero(which)) <= may[name]


@pytest.mark.parametrize("frames", range(2, 33))
def test_any_number_of_frames_meets_a_blink(frames: int) -> None:
    seen = actions.visible(actions.moments(frames))[BLINKS]
    assert seen[0]
    assert not seen.all()


def test_five_frames_of_a_bounce_and_a_blink_alternate() -> None:
    at = actions.moments(5)
    np.testing.assert_allclose(actions.offset(at)[BOUNCES, :, 1], [0, -0.2, 0, -0.2, 0], atol=1e-12)
    assert actions.visible(at)[BLINKS].tolist() == [True, False, True, False, True]


SYMMETRY = {"square": 90, "triangle": 120, "cross": 90, "bar": 180}  # degrees after which a shape looks the same


@pytest.mark.parametrize("frames", [2, 4, 5, 8, 10, 16])
@pytest.mark.parametrize("shape", SYMMETRY)
def test_frames_never_step_by_a_symmetry(shape: str, frames: int) -> None:
    step = np.rad2deg(actions.angle(actions.moments(frames))[SPINS, 1]) % SYMMETRY[shape]
    assert min(step, SYMMETRY[shape] - step) >= 9


def test_what_spins_looks_different() -> None:
    assert {world.SHAPES[i] for i in np.flatnonzero(actions.suits_shape()[:, SPINS])} == set(SYMMETRY)
    assert np.delete(actions.suits_shape(), SPINS, axis=1).all()


@pytest.mark.parametrize("shape", range(6), ids=world.SHAPES)
def test_circumradius(shape: int) -> None:
    x, y = np.meshgrid(*[np.linspace(-1.4, 1.4, 1401, dtype=np.float32)] * 2)
    furthest = np.hypot(x, y)[DISTANCES[shape](x, y) <= 0].max()
    assert furthest <= actions.CIRCUMRADIUS[shape] <= furthest + 0.004


@given(
    MOMENTS,
    st.integers(0, 5),
    st.integers(0, 9),
    st.floats(0.05, 0.2),
)
def test_reach_holds_everything_from_first_to_last(at: np.ndarray, shape: int, action: int, radius: float) -> None:
    before, after = actions.reach(np.array(shape), np.array(action), np.array(radius))
    span = radius * actions.scale(at)[action] * (actions.CIRCUMRADIUS[shape] if action == SPINS else 1.0)
    way = actions.offset(at)[action]
    assert (way - span[:, None] >= -before - 1e-12).all()
    assert (way + span[:, None] <= after + 1e-12).all()


def test_what_is_not_there_reaches_nowhere() -> None:
    assert all((side == 0).all() for side in actions.reach(np.array([-1]), np.array([-1]), np.array([0.0])))


def test_places_that_are_passed() -> None:
    cells = actions.cells()
    assert np.flatnonzero(cells[ACTIONS.index("moves right"), 3]).tolist() == [3, 4]
    assert np.flatnonzero(cells[ACTIONS.index("moves up"), 7]).tolist() == [4, 7]
    assert np.flatnonzero(cells[BOUNCES, 4]).tolist() == [1, 4]
    assert np.flatnonzero(cells[STAYS, 8]).tolist() == [8]
    assert not cells[ACTIONS.index("moves right"), 5].any()  # it would leave the board
    assert actions.suits_place().sum(axis=0).tolist() == [6, 6, 6, 6, 9, 9, 9, 6, 9, 9]


def test_held_out_combinations() -> None:
    """All of the pairs that pictures hold out, and exactly one action of every other pair."""
    missing, pairs = actions.held_out(), world.held_out_pairs()
    assert not (missing & ~actions.suits_shape()[:, None]).any()
    assert (missing[pairs].sum(axis=1) == actions.suits_shape()[pairs.any(axis=1)].sum(axis=1)).all()
    assert (missing[~pairs].sum(axis=1) == 1).all()
    assert missing[~pairs].sum(axis=0).min() >= 3  # no action is left out much more often than another
    assert missing[~pairs].sum(axis=0).max() <= 5
