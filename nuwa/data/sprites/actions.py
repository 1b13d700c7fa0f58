"""What objects of a clip do, and how far that takes them.

A clip lasts one unit of time; frame f of t frames shows the moment f / t. So the first frame is the scene as it starts,
and a clip of 5 frames is every second frame of the same clip of 10. The amounts are chosen so that every action can be
told from the others in 4 frames of 32 px.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from nuwa.data.sprites import world

ACTIONS = (
    "moves left",
    "moves right",
    "moves up",
    "moves down",
    "grows",
    "shrinks",
    "spins",
    "bounces",
    "blinks",
    "stays",
)  # the classes of acc
LEFT, RIGHT, UP, DOWN, GROWS, SHRINKS, SPINS, BOUNCES, BLINKS, STAYS = range(len(ACTIONS))

DIRECTIONS = {LEFT: (-1, 0), RIGHT: (1, 0), UP: (0, -1), DOWN: (0, 1)}  # (x, y), y down
TRAVEL = 0.3  # of a move, in sides of the picture: less than from one place of the board to the next
GROWTH, SHRINKAGE = 1.6, 0.45  # factor of the radius at the end
TURN = np.deg2rad(150.0)  # clockwise; neither 4 nor 5 nor 10 frames step by a symmetry of a shape
HOP, HOP_PERIOD = 0.2, 0.4  # height in sides of the picture; 5 frames show the ground and the top in turn
BLINKS_AT = (
    (0.15, 0.35),
    (0.45, 0.65),
)  # gone from the first moment to before the second; any number of frames meets one

CIRCUMRADIUS = np.array([0.95, 1.217, 1.257, 1.057, 1.0, 1.085])  # of the shapes, in radii; upright, each fits 1

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def suits_shape() -> Bools:
    """Which shape can do what, (6, 10): a circle or a ring that spins is one that stays."""
    suits = np.ones((len(world.SHAPES), len(ACTIONS)), dtype=bool)
    suits[[world.SHAPES.index("circle"), world.SHAPES.index("ring")], SPINS] = False
    return suits


def suits_size() -> Bools:
    """Which size can do what, (3, 10): what is large has no room to grow, what is small no pixels to lose."""
    suits = np.ones((len(world.SIZES), len(ACTIONS)), dtype=bool)
    suits[world.SIZES.index("large"), GROWS] = False
    suits[world.SIZES.index("small"), SHRINKS] = False
    return suits


def suits_place() -> Bools:
    """Where an object can start to do what, (9, 10): it stays on the board."""
    return np.diagonal(cells(), axis1=1, axis2=2).T


@cache
def cells() -> Bools:
    """Places (10, 9, 9) that an object passes over, by action and start; none at all where it would leave the board."""
    steps = dict.fromkeys(range(len(ACTIONS)), (0, 0)) | DIRECTIONS | {BOUNCES: DIRECTIONS[UP]}
    passed = np.zeros((len(ACTIONS), len(world.PLACES), len(world.PLACES)), dtype=bool)
    for action, (dx, dy) in steps.items():
        for start in range(len(world.PLACES)):
            row, column = start // 3 + dy, start % 3 + dx
            if 0 <= row < 3 and 0 <= column < 3:
                passed[action, start, [start, 3 * row + column]] = True
    passed.setflags(write=False)
    return passed


@cache
def held_out() -> Bools:
    """Combinations (6, 8, 10) of shape, colour and action that only ``test-unseen`` shows.

    Those of a pair of shape and colour that no picture of the other splits shows, and one action of every other pair.
    """
    missing = np.repeat(world.held_out_pairs()[..., None], len(ACTIONS), axis=-1)
    for shape, suits in enumerate(suits_shape()):
        possible = np.flatnonzero(suits)
        for colour in range(len(world.COLOURS)):
            missing[shape, colour, possible[(4 * shape + colour) % len(possible)]] = True
    missing &= suits_shape()[:, None]
    missing.setflags(write=False)
    return missing


def moments(frames: int) -> Floats:
    """When the frames of a clip are, (frames,) in [0, 1). ValueError for fewer than one."""
    if frames < 1:
        raise ValueError(f"frames: expected at least 1, got {frames}")
    return np.arange(frames) / frames


def offset(at: Floats) -> Floats:
    """How far each action has carried an object at the moments ``at`` (t,), in sides: (10, t, 2) as (x, y)."""
    carried = np.zeros((len(ACTIONS), len(at), 2))
    for action, direction in DIRECTIONS.items():
        carried[action] = TRAVEL * at[:, None] * direction
    phase = np.mod(at / HOP_PERIOD, 1)
    carried[BOUNCES, :, 1] = -HOP * 4 * phase * (1 - phase)
    return carried


def scale(at: Floats) -> Floats:
    """Factor of the radius, (10, t)."""
    factor = np.ones((len(ACTIONS), len(at)))
    factor[GROWS] += (GROWTH - 1) * at
    factor[SHRINKS] += (SHRINKAGE - 1) * at
    return factor


def angle(at: Floats) -> Floats:
    """Turn clockwise in radians, (10, t)."""
    turned = np.zeros((len(ACTIONS), len(at)))
    turned[SPINS] = TURN * at
    return turned


def visible(at: Floats) -> Bools:
    """Whether there is something to see, (10, t)."""
    seen = np.ones((len(ACTIONS), len(at)), dtype=bool)
    for start, end in BLINKS_AT:
        seen[BLINKS] &= (at < start) | (at >= end)
    return seen


def reach(shape: Ints, action: Ints, radius: Floats) -> tuple[Floats, Floats]:
    """How far objects get from where they start during a clip, in sides of the picture.

    Args:
        shape: (...) index into ``world.SHAPES``; -1 for no object, which reaches nowhere.
        action: (...) index into :data:`ACTIONS`.
        radius: (...) at the start.

    Returns:
        Towards smaller and towards larger (x, y), both (..., 2) and at least 0.
    """
    span = radius * np.where(action == SPINS, CIRCUMRADIUS[shape], 1.0) * np.where(action == GROWS, GROWTH, 1.0)
    way = np.zeros((len(ACTIONS), 2))
    for moving, direction in DIRECTIONS.items():
        way[moving] = TRAVEL * np.array(direction)
    way[BOUNCES, 1] = -HOP
    there, span = (shape >= 0)[..., None], span[..., None]
    return (
        np.where(there, span + np.maximum(-way[action], 0), 0.0),
        np.where(there, span + np.maximum(way[action], 0), 0.0),
    )
