"""Scenes: what stands where. Sample i of a split is a pure function of (version, split, i)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nuwa import noise
from nuwa.data.sprites import world
from nuwa.registry import suggest

SPLITS = ("train", "val", "test-seen", "test-unseen")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """A batch of b scenes as arrays; the last axis of (b, 3) counts objects and holds -1 (or 0.0) where there is none.

    Objects are ordered from the largest to the smallest, then by place; the first is the main object.
    """

    num_objects: Ints  # (b,) in 1..3
    shape: Ints  # (b, 3) index into world.SHAPES
    colour: Ints  # (b, 3)
    size: Ints  # (b, 3)
    place: Ints  # (b, 3) raster index on the 3×3 board
    background: Ints  # (b,)
    centre: Floats  # (b, 3, 2) as (x, y), fractions of the side
    radius: Floats  # (b, 3) fraction of the side
    wording: Ints  # (b,) 64-bit seed of the caption's wording

    def __len__(self) -> int:
        return len(self.num_objects)

    def __getitem__(self, item: slice | Ints | NDArray[np.bool_]) -> Scenes:
        """Some of the scenes; ``item`` is a slice or an index array."""
        return Scenes(**{name: value[item] for name, value in vars(self).items()})


def draw(split: str, indices: ArrayLike, *, take: int = 0) -> Scenes:
    """Scenes of the given sample indices (whole numbers >= 0). ValueError for an unknown split.

    Another ``take`` of a sample has the same caption and differs in what no caption names: where exactly in its place an
    object stands, and by how little it differs from its size.
    """
    check_split(split)
    index = np.asarray(indices, dtype=np.int64)
    slots = np.arange(world.MAX_OBJECTS)
    row = index[:, None]

    def stream(name: str) -> int:
        return noise.key("sprites", world.VERSION, split, name)

    count_edges = np.cumsum(world.OBJECT_COUNTS)[:-1]
    num_objects = 1 + np.searchsorted(count_edges, noise.uniform(stream("count"), index), side="right")
    present = slots < num_objects[:, None]

    held_out = world.held_out_pairs()
    pairs = np.argwhere(held_out if split == "test-unseen" else ~held_out)
    pair = pairs[noise.integers(stream("pair"), len(pairs), row, slots)]
    size = noise.integers(stream("size"), len(world.SIZES), row, slots)
    board = np.argsort(noise.uniform(stream("place"), row, np.arange(len(world.PLACES))), axis=1)
    place = board[:, : world.MAX_OBJECTS]

    order = np.argsort(np.where(present, -size * len(world.PLACES) + place, np.iinfo(np.int64).max), axis=1)
    shift = noise.uniform(stream("shift") + take, row[..., None], slots[:, None], np.arange(2)) * 2 - 1
    stretch = noise.uniform(stream("stretch") + take, row, slots) * 2 - 1

    def sort(values: NDArray) -> NDArray:
        return np.take_along_axis(values, order if values.ndim == 2 else order[..., None], axis=1)

    def objects(values: Ints) -> Ints:
        return np.where(present, sort(values), -1)

    return Scenes(
        num_objects=num_objects,
        shape=objects(pair[..., 0]),
        colour=objects(pair[..., 1]),
        size=objects(size),
        place=objects(place),
        background=noise.integers(stream("background"), len(world.BACKGROUNDS), index),
        centre=np.where(present[..., None], sort(world.place_centres()[place] + world.PLACE_JITTER * shift), 0.0),
        radius=np.where(present, sort(world.RADIUS[size] * (1 + world.RADIUS_JITTER * stretch)), 0.0),
        wording=noise.bits(stream("wording"), index).view(np.int64),
    )


def check_split(split: str) -> None:
    """ValueError with the nearest name for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f"unknown sprites split {split!r}{suggest(split, list(SPLITS))} (known: {', '.join(SPLITS)})")


def slot_order(scenes: Scenes) -> Ints:
    """Slots (b, 3) in the order of the sprites world: from the largest object to the smallest, then by place."""
    rank = np.where(scenes.shape >= 0, -scenes.size * len(world.PLACES) + scenes.place, np.iinfo(np.int64).max)
    return np.argsort(rank, axis=1, kind="stable")


def reorder(scenes: Scenes, order: Ints) -> Scenes:
    """The same scenes with the objects of slots ``order`` (b, 3)."""
    value = dict(vars(scenes))
    for name in ("shape", "colour", "size", "place", "radius"):
        value[name] = np.take_along_axis(value[name], order, axis=1)
    value["centre"] = np.take_along_axis(scenes.centre, order[..., None], axis=1)
    return Scenes(**value)
