"""Other clips that begin as a clip does: what a predictor that knows the world could answer to its first frame.

A frame does not say what its objects will do. Two sets of clips with the same first frames and actions drawn apart are both
right, and of a few hundred their Fréchet distance is far from zero; that, and not the distance of two takes of the same
captions, is what a perfect predictor would get.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nuwa import noise
from nuwa.data.sprites import actions, world
from nuwa.data.sprites.clips import Clips, clashes, combinations
from nuwa.data.sprites.scenes import Scenes, check_split

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PUSHED = 1e9
"""How much more a start on the very edge of what an action allows speaks for an action that pushes starts there."""

CHUNK = 128
"""Clips at once; of three objects each takes 1000 chances over 90 ways to go on."""


def draw_outcomes(clips: Clips, split: str, indices: ArrayLike, *, seed: int = 0) -> Clips:
    """The same starts with actions drawn anew, of which the given ones are one draw: the first frames are the same to the bit.

    Actions follow their distribution given everything that can be seen at the start (:func:`nuwa.data.sprites.draw_clips`),
    so the outcomes of a split's clips are distributed as the clips of that split are.

    Args:
        clips: b clips of the split, with main objects that are larger than all others.
        split: whose combinations of shape, colour and action are shown.
        indices: b whole numbers >= 0; what is drawn for a clip depends on its own.
        seed: another one draws others.

    Raises:
        ValueError: an unknown split.
    """
    check_split(split)
    action, index = clips.action.copy(), np.asarray(indices, dtype=np.int64)
    for number in range(1, world.MAX_OBJECTS + 1):
        rows = np.flatnonzero(clips.scenes.num_objects == number)
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            chances = np.sum([_chances(clips.scenes[part], split, slots) for slots in _orders(number)], axis=0)
            edges = np.cumsum(chances.reshape(len(part), -1), axis=1)
            u = noise.uniform(noise.key("sprites", world.VERSION, split, "outcome", seed), index[part])
            # Below the last edge even where rounding has made u times the sum that sum.
            found = np.minimum((edges <= (u * edges[:, -1])[:, None]).sum(axis=1), edges.shape[1] - 1)
            action[part, :number] = np.stack(np.unravel_index(found, chances.shape[1:]), axis=1)
    return replace(clips, action=action)


def _orders(number: int) -> list[tuple[int, ...]]:
    """Orders in which the slots can have been filled: the main object first, and the others as they may."""
    return [(0, *rest) for rest in permutations(range(1, number))]


def _chances(scenes: Scenes, split: str, slots: tuple[int, ...]) -> Floats:
    """How likely every choice of actions and these starts are, filled in this order: (b, 10, …), an axis a slot, by number.

    Up to a factor of each scene that the actions do not change; the choices are those of :func:`nuwa.data.sprites.draw_clips`.
    """
    b, kinds, board = len(scenes), len(actions.ACTIONS), len(world.PLACES)
    passed = np.zeros((b, board), dtype=bool)
    chances = np.ones(b)
    suits, cells, pairs = actions.suits_size(), actions.cells(), combinations(split)
    for turn, slot in enumerate(slots):
        each = (b, *(1,) * turn, kinds)  # what does not depend on the actions before
        size, place = scenes.size[:, slot], scenes.place[:, slot]
        free = ~clashes(passed.reshape(-1, board)).reshape(*passed.shape[:-1], kinds, board)
        places = free.sum(axis=-1)
        possible = places > 0
        if slot == 0:  # the action, then a size that suits it and leaves room for smaller ones
            fits = suits.T & ((scenes.num_objects == 1)[:, None, None] | (np.arange(len(world.SIZES)) > 0))
            chance = possible * (suits[size] / np.maximum(fits.sum(axis=2), 1)).reshape(each)
        else:
            possible &= suits[size].reshape(each)
            chance = possible / np.maximum(possible.sum(axis=-1, keepdims=True), 1)
        there = np.moveaxis(free, -1, 1)[np.arange(b), place]
        chance = chance * there / np.maximum(places, 1)
        shown = pairs[scenes.shape[:, slot], scenes.colour[:, slot]] / pairs.sum(axis=(0, 1))
        chance = chance * (shown * _starts(scenes, slot)).reshape(each)
        chances = chances[..., None] * chance
        passed = passed[..., None, :] | cells[:, place].swapaxes(0, 1).reshape(*each, board)
    axes = [1 + slots.index(slot) for slot in range(len(slots))]
    return chances.transpose(0, *axes)


def _starts(scenes: Scenes, slot: int) -> Floats:
    """How well each action goes with where the object of a slot starts, (b, 10).

    A start that would leave the picture is pushed back as far as needed (:func:`nuwa.data.sprites.clips.keep_inside`), so
    many stand on the edge of what an action allows; inside of it all starts are alike.
    """
    kinds = np.arange(len(actions.ACTIONS))
    before, after = actions.reach(scenes.shape[:, slot, None], kinds, scenes.radius[:, slot, None])
    centre = scenes.centre[:, slot, None]
    low, high = before, 1 - after
    inside = ((centre >= low) & (centre <= high)).all(axis=-1)
    pushed = ((centre == low) | (centre == high)).sum(axis=-1)
    return inside * PUSHED**pushed
