"""Scenes that the judges learn from: the train split with every combination, and scenes that differ in one thing.

A judge that had never met a purple ring could not say whether a model drew one, so the judges see every combination of
shape and colour, the ones that no model is trained on among them. Models are judged on other samples than these.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nuwa import noise
from nuwa.data.sprites import Clips, Scenes, draw, draw_clips, world
from nuwa.data.sprites.scenes import reorder, slot_order

CHANGES = ("shape", "colour", "size", "place", "background", "swap", "drop")
"""What :func:`vary` changes: an attribute of one object, the background, the colours of two objects, their number."""

Ints = NDArray[np.int64]


def practice(indices: ArrayLike) -> Scenes:
    """Scenes of the train split with colours drawn again, so that every combination of shape and colour occurs."""
    scenes = draw("train", indices)
    row, slot = np.asarray(indices, dtype=np.int64)[:, None], np.arange(world.MAX_OBJECTS)
    colour = noise.integers(noise.key("judges", "practice", "colour"), len(world.COLOURS), row, slot)
    return replace(scenes, colour=np.where(scenes.shape >= 0, colour, -1))


def vary(scenes: Scenes, stream: int, *, change: str | None = None) -> Scenes:
    """The same scenes with one thing changed in each: the hardest wrong answers for a caption.

    Args:
        scenes: b scenes.
        stream: key of the random choices.
        change: one of :data:`CHANGES`; each scene draws its own where None. Scenes of one object, which have nothing to
            swap or drop, get another shape instead; a swap of equal colours changes nothing.
    """
    if change is not None and change not in CHANGES:
        raise ValueError(f"change: expected one of {', '.join(CHANGES)}, got {change!r}")
    rows = np.arange(len(scenes))
    kind = (
        noise.integers(stream, len(CHANGES), rows, 0)
        if change is None
        else np.full(len(scenes), CHANGES.index(change), dtype=np.int64)
    )
    kind = np.where((scenes.num_objects == 1) & (kind >= CHANGES.index("swap")), CHANGES.index("shape"), kind)
    slot = noise.integers(stream, scenes.num_objects, rows, 1)
    value = {name: array.copy() for name, array in vars(scenes).items()}

    def chosen(name: str) -> tuple[Ints, Ints]:
        row = np.flatnonzero(kind == CHANGES.index(name))
        return row, slot[row]

    def other(old: Ints, count: int, row: Ints) -> Ints:
        return (old + 1 + noise.integers(stream, count - 1, row, 2)) % count

    at = chosen("shape")
    value["shape"][at] = other(scenes.shape[at], len(world.SHAPES), at[0])
    at = chosen("colour")
    value["colour"][at] = other(scenes.colour[at], len(world.COLOURS), at[0])
    at = chosen("size")
    value["size"][at] = other(scenes.size[at], len(world.SIZES), at[0])
    value["radius"][at] *= world.RADIUS[value["size"][at]] / world.RADIUS[scenes.size[at]]
    at = chosen("place")
    value["place"][at] = _free_place(scenes, at[0], stream)
    value["centre"][at] += world.place_centres()[value["place"][at]] - world.place_centres()[scenes.place[at]]
    row = chosen("background")[0]
    value["background"][row] = other(scenes.background[row], len(world.BACKGROUNDS), row)
    row, first = chosen("swap")
    second = (first + 1) % scenes.num_objects[row]
    value["colour"][row, first], value["colour"][row, second] = scenes.colour[row, second], scenes.colour[row, first]
    row, gone = chosen("drop")
    for name in ("shape", "colour", "size", "place"):
        value[name][row, gone] = -1
    value["radius"][row, gone] = 0.0
    value["num_objects"][row] -= 1
    varied = Scenes(**value)
    return reorder(varied, slot_order(varied))


def identity(scenes: Scenes) -> Ints:
    """A number (b,) for all attributes of a scene: equal exactly where a caption fits both scenes."""
    number = scenes.background.copy()
    for values, count in (
        (scenes.shape, len(world.SHAPES)),
        (scenes.colour, len(world.COLOURS)),
        (scenes.size, len(world.SIZES)),
        (scenes.place, len(world.PLACES)),
    ):
        for slot in range(world.MAX_OBJECTS):
            number = number * (count + 1) + values[:, slot] + 1
    return number


def join(*parts: Scenes) -> Scenes:
    """One batch of all scenes, in order."""
    return Scenes(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


def _free_place(scenes: Scenes, row: Ints, stream: int) -> Ints:
    """A place (len(row),) where no object of the scene stands."""
    wish = noise.uniform(stream, row[:, None], 3 + np.arange(len(world.PLACES)))
    taken = (scenes.place[row][:, :, None] == np.arange(len(world.PLACES))).any(axis=1)
    return np.where(taken, -1.0, wish).argmax(axis=1)


def practice_clips(indices: ArrayLike) -> Clips:
    """Clips of the train split with colours drawn again, so that every combination of shape, colour and action occurs."""
    clips = draw_clips("train", indices)
    row, slot = np.asarray(indices, dtype=np.int64)[:, None], np.arange(world.MAX_OBJECTS)
    colour = noise.integers(noise.key("judges", "practice clips", "colour"), len(world.COLOURS), row, slot)
    scenes = replace(clips.scenes, colour=np.where(clips.action >= 0, colour, -1))
    return replace(clips, scenes=scenes)
